// Package socket is what an agent does at sockets: it has programs there that lead calls of services to backends, and ends sockets whose
// backend their service does not offer any more, so that their processes call the service again and are led elsewhere.
//
// # The world it models
//
// Programs: table sockets and its sink, see internal/sink/link/socket. Which sockets are orphans: internal/lb/orphan; how they are ended:
// internal/sink/link/diag.
//
// Nothing is remembered of what went: a pass over orphans compares what the kernel knows of sockets (map socket_services) with the backends that
// there are now. So a backend that went while no agent ran is found as any other. There is a pass when frontends have let go of a backend,
// and the maps by which programs choose backends are up to date; when the configuration says something else; and now and then, for a socket that
// was being connected meanwhile.
//
// # Invariants
//
//   - Nothing is ended before all frontends are known, nor while programs may still lead calls to the backend.
//   - A pass looks at sockets in the kernel only if some were led to a backend that is gone, and passes that do are a second apart,
//     however fast backends come and go.
//
// # Example
//
//	orphans := socket.NewOrphans(datapath, tables, db, log, "/host")
//	go orphans.Run(ctx)
package socket

import (
	"fmt"
	"log/slog"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/derive/socket"
	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/link/socket"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Derivation fills table sockets.
func Derivation(t *table.Tables) state.AnyDerivation { return socket.New(t) }

// Constants is what programs are told of it.
func Constants(t *table.Tables) (string, []state.Input, func(state.Reader) any) {
	return socket.Constants(t)
}

// Loop keeps programs of a loaded datapath where the table says.
func Loop(d *datapath.Datapath, t *table.Tables, log *slog.Logger) *reconcile.Loop[table.Sockets] {
	return &reconcile.Loop[table.Sockets]{Table: t.Sockets, Sink: sink.New(d, log), WaitSynced: true}
}

// Component says where programs at sockets are, or why not, and whether sockets are ended; orphans is nil while the agent starts.
func Component(s *state.Snapshot, t *table.Tables, orphans *Orphans) agentv1.Component {
	c := agentv1.Component{Name: "services at sockets", Health: agentv1.HealthOK, Message: "not wanted: kube-proxy-replacement and bpf-lb-sock say no"}
	want, wanted := t.Sockets.One(s, table.SocketsKey)
	if !wanted {
		return c
	}
	if why := Missing(s, t); why != "" {
		c.Health, c.Message = agentv1.HealthDegraded, why
		return c
	}
	dir, instead, err := sink.Where(want)
	switch {
	case err != nil:
		c.Health, c.Message = agentv1.HealthDegraded, err.Error()
		return c
	case !status.Realised(s, t.Sockets, table.SocketsKey):
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
	if orphans == nil {
		return c
	}
	if why := orphans.Trouble(); why != "" {
		c.Health = agentv1.HealthDegraded
		c.Message += "; a connected socket goes on when its backend is gone: " + why
	}
	return c
}

// Missing says why calls are not translated at sockets although they ought to be; empty: nothing is wrong.
func Missing(s *state.Snapshot, t *table.Tables) string {
	row, ok := status.Statuses.One(s, status.KeyOf(t.Sockets, table.SocketsKey))
	if _, wanted := t.Sockets.One(s, table.SocketsKey); !ok || !wanted || row.Err == "" {
		return ""
	}
	return "processes of this node reach services by another service proxy or not at all, and pods by their packets: " + row.Err
}
