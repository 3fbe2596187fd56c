package feature

import (
	"weftnet.io/weftnet/internal/derive/workload"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var workloads = Feature{
	Name: "workloads", Does: "gives pods labels and identities, and says which pods no policy reaches",
	Fills: func(t *table.Tables) []state.AnyTable {
		return []state.AnyTable{t.Workloads, t.IdentityClaims, t.Published, t.Unmanaged}
	},
	Derivations: func(n *Node) []state.AnyDerivation { return workload.Derivations(n.Tables) },
	Needs:       workload.Needs,
}
