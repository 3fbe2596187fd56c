// Package pool derives how many addresses of each named pool this node needs.
//
// # The world it models
//
//	pods web, api ask for blue; an attachment of a pod that is gone has 10.20.0.5, of blue   ->  pool-needs  blue  3 IPv4
//
// # Invariants
//
//   - A pool that nothing of the node asks for, and of which nothing is held, has no row.
//   - Pods that have ended, and those on the node's own network, need none.
//
// # Example
//
//	for _, d := range pool.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package pool

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/pool"
)

// Derivations keeps Needs.
func Derivations(t *table.Tables) []state.AnyDerivation {
	named := func(of [2]string) (keys []state.Key) {
		for _, name := range of {
			if name != "" && name != pool.Default {
				keys = append(keys, state.Join(name))
			}
		}
		return keys
	}
	return []state.AnyDerivation{&state.Derivation[pool.Need]{
		Name: "pool-needs", Out: pool.Needs, KeyOf: pool.Needs.Key,
		Inputs: []state.Input{
			state.On(t.Pods, func(r state.Reader, p table.Pod) []state.Key {
				n, _ := t.Namespaces.One(r, state.Join(p.Namespace))
				return append(named(p.Pools), named(n.Pools)...)
			}),
			state.On(t.Namespaces, func(r state.Reader, n table.Namespace) []state.Key {
				keys := named(n.Pools)
				for p := range t.Pods.Prefix(r, state.Join(n.Name)) {
					keys = append(keys, named(p.Pools)...)
				}
				return keys
			}),
			state.On(t.Attachments, func(r state.Reader, a table.Attachment) (keys []state.Key) {
				n, _ := t.LocalNode(r)
				for name, parts := range n.Pools {
					if slices.ContainsFunc(a.Addresses, func(x netip.Addr) bool { return within(parts, x) }) {
						keys = append(keys, state.Join(name))
					}
				}
				return keys
			}),
			state.On(t.Nodes, func(_ state.Reader, n table.Node) (keys []state.Key) {
				if n.Local {
					for name := range n.Pools {
						keys = append(keys, state.Join(name))
					}
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) []pool.Need { return need(r, t, key) },
	}}
}

func within(parts []netip.Prefix, x netip.Addr) bool {
	return slices.ContainsFunc(parts, func(p netip.Prefix) bool { return p.Contains(x) })
}

// need counts pods that ask, and attachments of pods that do not, or not any more.
func need(r state.Reader, t *table.Tables, key state.Key) []pool.Need {
	local, _ := t.LocalNode(r)
	var n pool.Need
	count := func(is4 bool) {
		if is4 {
			n.IPv4++
		} else {
			n.IPv6++
		}
	}
	asks := map[state.Key][2]bool{}
	for p := range t.Pods.All(r) {
		of := pool.For(r, t, p)
		var both [2]bool
		for i, name := range of {
			if name != "" && state.Join(name) == key && !p.HostNetwork && !p.Finished {
				n.Pool, both[i] = name, true
				count(i == 0)
			}
		}
		asks[t.Pods.Key(p)] = both
	}
	for name, parts := range local.Pools {
		if state.Join(name) != key {
			continue
		}
		for a := range t.Attachments.All(r) {
			asked := asks[table.ObjectKey(a.Namespace, a.Pod)]
			for _, x := range a.Addresses {
				if i := 1; within(parts, x) {
					if x.Is4() {
						i = 0
					}
					if !asked[i] || a.Further.First != "" { // its pod is gone, or has this one beside its first
						n.Pool = name
						count(x.Is4())
					}
				}
			}
		}
	}
	if n.Pool == "" {
		return nil
	}
	return []pool.Need{n}
}
