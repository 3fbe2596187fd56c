package reference

import (
	"iter"

	"weftnet.io/weftnet/internal/identity"
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
