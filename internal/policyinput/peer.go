package policyinput

import (
	"iter"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
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
		for _, a := range labelindex.OfSelector(s) {
			if a == labelindex.Any {
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
			for i := range t.Identities.Below(r, table.BySelector, state.Key(prefix)) {
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

// Holders lists the workloads of an identity with their named ports: those here, and those that other nodes publish.
func Holders(r state.Reader, t *table.Tables) policy.Holders {
	return func(n identity.Number) (list []policy.Holder) {
		key := state.Join(uint32(n))
		for w := range t.Workloads.By(r, table.ByIdentity, key) {
			list = append(list, policy.Holder{Addresses: w.Addresses, NamedPorts: portsOf(w.NamedPorts)})
		}
		for e := range t.Endpoints.By(r, table.ByIdentity, key) {
			if !isHere(r, t, e) {
				list = append(list, policy.Holder{Addresses: e.Addresses, NamedPorts: portsOf(e.NamedPorts)})
			}
		}
		return list
	}
}

// isHere tells whether an endpoint is what this node itself publishes of a workload: the workload says more, and sooner.
func isHere(r state.Reader, t *table.Tables, e table.Endpoint) bool {
	for range t.Workloads.By(r, table.ByPod, table.ObjectKey(e.Namespace, e.Name)) {
		return true
	}
	return false
}

func portsOf(ports []table.NamedPort) (out policy.NamedPorts) {
	for _, p := range ports {
		out = append(out, policy.NamedPort(p))
	}
	return out
}

// HasNames tells whether a workload of an identity has named ports.
func HasNames(r state.Reader, t *table.Tables, n identity.Number) bool {
	key := state.Join(uint32(n))
	for w := range t.Workloads.By(r, table.ByIdentity, key) {
		if len(w.NamedPorts) > 0 {
			return true
		}
	}
	for e := range t.Endpoints.By(r, table.ByIdentity, key) {
		if len(e.NamedPorts) > 0 {
			return true
		}
	}
	return false
}
