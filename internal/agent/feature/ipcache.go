package feature

import (
	derive "weftnet.io/weftnet/internal/derive/ipcache"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var ipcache = Feature{
	Name: "ipcache", Does: "knows who lives at an address and how to get there",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.IPCache} },
	Slow:        true,
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{derive.New(n.Tables)} },
	Needs:       derive.Needs,
	Maps: func(n *Node) ([]Runner, error) {
		return []Runner{keep(n, &reconcile.Loop[table.IPCacheRow]{
			Table: n.Tables.IPCache, Sink: bpfmap.NewIPCache(n.Datapath, n.Revisions),
			// While there was no agent, an address may have got an identity that the policy sets of the last one do not know.
			After: n.Tables.PolicySets,
			// Nothing waits for a single address of another node, and there may be a hundred thousand.
			Quiet: func(e table.IPCacheRow) bool { return e.Flags&table.IPCacheLocal == 0 },
		})}, nil
	},
}
