package link

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/neighbor"
)

// Neighbors is the table that the last of Derivations fills.
var Neighbors = neighbor.Table

// neighbors are the addresses of other nodes on this node's links, where calls from outside are translated here: nodes lead them to one
// another, see bpf/lib/dsr.h.
func neighbors(t *table.Tables) state.AnyDerivation {
	m := newMemos(t)
	others := state.NewMemo(func(r state.Reader) map[netip.Addr]bool { // whether it is no address of this node
		of := map[netip.Addr]bool{}
		for n := range t.Nodes.All(r) {
			for _, a := range n.Addresses {
				here, taken := of[a]
				of[a] = !n.Local && (here || !taken)
			}
		}
		return of
	}, t.Nodes)
	all := func(r state.Reader) (keys []state.Key) {
		for a := range others.Of(r) {
			keys = append(keys, state.Join(a))
		}
		return keys
	}
	return &state.Derivation[neighbor.Neighbor]{
		Name:  "neighbors",
		Out:   neighbor.Table,
		KeyOf: neighbor.Table.Key,
		Inputs: []state.Input{
			state.On(t.Nodes, func(_ state.Reader, n table.Node) []state.Key {
				keys := make([]state.Key, len(n.Addresses))
				for i, a := range n.Addresses {
					keys[i] = state.Join(a)
				}
				return keys
			}),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
				return when(c.Concern == settings.OfServices, all, r)
			}),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return when(!attach.IsHostName(d.Name), all, r) }),
		},
		Compute: func(r state.Reader, key state.Key) []neighbor.Neighbor {
			a, err := netip.ParseAddr(key.String())
			if err != nil || !m.config(r).Outside.Any() || !others.Of(r)[a] {
				return nil
			}
			device := m.link(r, a)
			if device == "" {
				return nil
			}
			return []neighbor.Neighbor{{Address: a, Device: device}}
		},
	}
}
