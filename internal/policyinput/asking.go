package policyinput

import (
	"iter"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Asking finds the selectors that policies have in use: their own, and those of services that they take peers from. A
// label that identities leave out enters those of the pods that one of them cannot judge without.
func Asking(r state.Reader, t *table.Tables) identity.Asking {
	return func(key, value string) iter.Seq[identity.Selector] {
		return func(yield func(identity.Selector) bool) {
			for p := range t.Policies.By(r, table.ByLabel, state.Join(key)) {
				for s := range p.Selectors() {
					if s.Uses(key) && !yield(s) {
						return
					}
				}
			}
			for _, asked := range [...]string{value, ""} { // a pod's label may be told without its value, and must not be taken for empty
				for s := range t.Services.By(r, table.ByLabel, state.Join(key, asked)) {
					if named(r, t, s) && !yield(podsOf(s)) {
						return
					}
				}
			}
		}
	}
}

// named tells whether a policy takes peers from a service.
func named(r state.Reader, t *table.Tables, s table.Service) bool {
	for p := range t.Policies.By(r, table.ByServices, state.Join(true)) {
		for _, rule := range p.Rules {
			for _, ref := range rule.References() {
				if ref.Kind == policy.Services && IsService(ref, s) {
					return true
				}
			}
		}
	}
	return false
}
