package feature

import (
	"context"

	"weftnet.io/weftnet/internal/agent/health"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

var healthChecks = Feature{
	Name: "health checks", Does: "answers load balancers about services and the node, as kube-proxy does",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{healthcheck.Table} },
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{health.Derivation(n.Tables, n.Name)} },
	Maps: func(n *Node) ([]Runner, error) {
		checks := health.New(n.Tables, n.DB, n.Ready)
		loop := keep(n, &reconcile.Loop[healthcheck.Check]{Table: healthcheck.Table, Sink: checks, WaitSynced: true})
		run := loop.Run
		loop.Run = func(ctx context.Context) error {
			defer checks.Close()
			return run(ctx)
		}
		return []Runner{loop}, nil
	},
}
