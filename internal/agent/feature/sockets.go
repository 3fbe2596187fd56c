package feature

import (
	"fmt"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/derive/socket"
	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/link/socket"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

var sockets = Feature{
	Name: "sockets", Does: "translates what processes call of services at their sockets",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Sockets} },
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{socket.New(n.Tables)} },
	Constants:   socket.Constants,
	Maps: func(n *Node) ([]Runner, error) {
		return []Runner{keep(n, &reconcile.Loop[table.Sockets]{Table: n.Tables.Sockets, Sink: sink.New(n.Datapath, n.Log), WaitSynced: true})}, nil
	},
}

// Sockets says where programs at sockets are, or why not.
func (n *Node) Sockets(s *state.Snapshot) agentv1.Component {
	c := agentv1.Component{Name: "services at sockets", Health: agentv1.HealthOK, Message: "not wanted: kube-proxy-replacement and bpf-lb-sock say no"}
	want, wanted := n.Tables.Sockets.One(s, table.SocketsKey)
	if !wanted {
		return c
	}
	if why := n.socketless(s); why != "" {
		c.Health, c.Message = agentv1.HealthDegraded, why
		return c
	}
	dir, instead, err := sink.Where(want)
	switch {
	case err != nil:
		c.Health, c.Message = agentv1.HealthDegraded, err.Error()
		return c
	case !status.Realised(s, n.Tables.Sockets, table.SocketsKey):
		c.Health, c.Message = agentv1.HealthStarting, "programs are being attached"
		return c
	}
	c.Message = "of processes below control group " + dir
	if want.HostOnly {
		c.Message += ", in the node's own network namespace alone"
	}
	if instead != "" {
		c.Message += fmt.Sprintf(" (cgroup-root is not used: %s)", instead)
	}
	return c
}

// socketless says why calls are not translated at sockets although they ought to be; empty: nothing is wrong.
func (n *Node) socketless(s *state.Snapshot) string {
	row, ok := status.Statuses.One(s, status.KeyOf(n.Tables.Sockets, table.SocketsKey))
	if _, wanted := n.Tables.Sockets.One(s, table.SocketsKey); !ok || !wanted || row.Err == "" {
		return ""
	}
	return "processes of this node reach services by another service proxy or not at all, and pods by their packets: " + row.Err
}
