package feature

import (
	"context"

	"weftnet.io/weftnet/internal/agent/health"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var healthChecks = Feature{
	Name: "health checks", Does: "answers load balancers about services and the node, as kube-proxy does",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{health.Table} },
	Slow:        true,
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{health.Derivation(n.Tables, n.Name)} },
	Maps: func(n *Node) ([]Runner, error) {
		checks := health.New(n.Tables, n.DB, n.Ready)
		loop := keep(n, health.Loop(checks))
		run := loop.Run
		loop.Run = func(ctx context.Context) error {
			defer checks.Close()
			return run(ctx)
		}
		return []Runner{loop}, nil
	},
}
