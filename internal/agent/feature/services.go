package feature

import (
	"weftnet.io/weftnet/internal/derive/service"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var services = Feature{
	Name: "services", Does: "translates addresses of services for pods, and for what comes from outside",
	Constants:   service.Constants,
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Frontends} },
	Slow:        true,
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{service.New(n.Tables, n.Name)} },
	Maps: func(n *Node) ([]Runner, error) {
		sink, err := bpfmap.NewServices(n.Datapath)
		if err != nil {
			return nil, err
		}
		quiet := func(table.Frontend) bool { return true }
		return []Runner{keep(n, &reconcile.Loop[table.Frontend]{Table: n.Tables.Frontends, Sink: sink, Quiet: quiet})}, nil
	},
}
