package feature

import (
	"weftnet.io/weftnet/internal/derive/policy"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var policies = Feature{
	Name: "policies", Does: "compiles what pods may send and receive, and says what of it is not enforced",
	Fills: func(t *table.Tables) []state.AnyTable {
		return []state.AnyTable{t.PolicySets, t.SetLists, t.RuleLists, t.SetStatuses, t.Findings}
	},
	Slow:        true,
	Derivations: func(n *Node) []state.AnyDerivation { return policy.Derivations(n.Tables) },
	Maps: func(n *Node) ([]Runner, error) {
		sets, err := bpfmap.NewSets(n.DB, n.Tables.SetStatuses, n.Datapath, n.Revisions, policy.Number(n.Tables, n.DB))
		if err != nil {
			return nil, err
		}
		return []Runner{keep(n, &reconcile.Loop[table.PolicySet]{Table: n.Tables.PolicySets, Sink: sets, WaitSynced: true})}, nil
	},
}
