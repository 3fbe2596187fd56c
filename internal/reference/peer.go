package reference

import (
	"iter"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/anchor"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Peers are all identities that there are, with their labels: the reserved ones, and those of the cluster.
func Peers(r state.Reader, t *table.Tables) iter.Seq2[identity.Number, identity.Labels] {
	return func(yield func(identity.Number, identity.Labels) bool) {
		for _, n := range identity.ReservedNumbers() {
			if !yield(n, identity.Reserved(n)) {
				return
			}
		}
		for i := range t.Identities.All(r) {
			if !i.Number.IsReserved() && !yield(i.Number, i.Labels) {
				return
			}
		}
	}
}

// Candidates are those of Peers that one of the selectors may choose, found by the labels that it asks for: the cost is
// theirs, not that of all identities, unless a selector asks for nothing that one must have.
func Candidates(r state.Reader, t *table.Tables, selectors []identity.Selector) iter.Seq2[identity.Number, identity.Labels] {
	prefixes := map[string]bool{}
	for _, s := range selectors {
		for _, a := range anchor.Of(s) {
			if a == anchor.Everybody {
				return Peers(r, t)
			}
			prefixes[a.Prefix()] = true
		}
	}
	return func(yield func(identity.Number, identity.Labels) bool) {
		for _, n := range identity.ReservedNumbers() {
			if !yield(n, identity.Reserved(n)) {
				return
			}
		}
		seen := map[identity.Number]bool{}
		for prefix := range prefixes {
			for i := range t.Identities.Below(r, table.ByAnchor, state.Key(prefix)) {
				if seen[i.Number] || i.Number.IsReserved() {
					continue
				}
				seen[i.Number] = true
				if !yield(i.Number, i.Labels) {
					return
				}
			}
		}
	}
}

// Some are those of Peers with one of these numbers.
func Some(r state.Reader, t *table.Tables, numbers map[identity.Number]bool) iter.Seq2[identity.Number, identity.Labels] {
	return func(yield func(identity.Number, identity.Labels) bool) {
		for n := range numbers {
			labels, known := identity.Reserved(n), n.Name() != ""
			if !n.IsReserved() {
				var i table.Identity
				i, known = t.Identities.One(r, state.Join(uint32(n)))
				labels = i.Labels
			}
			if known && !yield(n, labels) {
				return
			}
		}
	}
}

// NamedPorts gives the named ports of all workloads of an identity, here and on other nodes.
func NamedPorts(r state.Reader, t *table.Tables) func(identity.Number) policy.NamedPorts {
	return func(n identity.Number) (ports policy.NamedPorts) {
		key := state.Join(uint32(n))
		for e := range t.Endpoints.By(r, table.ByIdentity, key) {
			for _, p := range e.NamedPorts {
				ports = append(ports, policy.NamedPort(p))
			}
		}
		for w := range t.Workloads.By(r, table.ByIdentity, key) {
			for _, p := range w.NamedPorts {
				ports = append(ports, policy.NamedPort(p))
			}
		}
		return ports
	}
}
