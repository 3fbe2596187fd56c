package feature

import (
	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/agent/socket"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var sockets = Feature{
	Name: "sockets", Does: "translates what processes call of services at their sockets",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Sockets} },
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{socket.Derivation(n.Tables)} },
	Constants:   socket.Constants,
	Maps: func(n *Node) ([]Runner, error) {
		orphans := socket.NewOrphans(n.Datapath, n.Tables, n.DB, n.Log, n.Root)
		n.orphans.Store(orphans)
		return []Runner{
			keep(n, socket.Loop(n.Datapath, n.Tables, n.Log)),
			{Name: "orphans", Run: orphans.Run, Behind: orphans.Behind},
		}, nil
	},
}

// Sockets says where programs at sockets are, or why not.
func (n *Node) Sockets(s *state.Snapshot) agentv1.Component {
	return socket.Component(s, n.Tables, n.orphans.Load())
}
