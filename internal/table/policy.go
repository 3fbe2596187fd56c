package table

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
)

// PolicyObject is one policy object of any of the languages, normalised to rules.
type PolicyObject struct {
	Kind      string // CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, ClusterNetworkPolicy
	Namespace string
	Name      string
	UID       string
	Rules     []policy.Rule
	Problems  []gap.Gap // what its text says of itself: not enforced, or not valid; shown in the object's status
	Valid     bool      // false: the object is rejected and enforces nothing
}

func (PolicyObject) Header() []string {
	return []string{"Kind", "Namespace", "Name", "Rules", "Valid", "Problems"}
}

func (p PolicyObject) Row() []string {
	return []string{p.Kind, p.Namespace, p.Name, fmt.Sprint(len(p.Rules)), fmt.Sprint(p.Valid), gap.Text(p.Problems)}
}

// ByServices is an index of Policies: "true" for those that take peers from services.
const ByServices = "services"

var _ = declare(&tables.Policies, "policies", func(r PolicyObject) state.Key { return state.Join(r.Kind, r.Namespace, r.Name) },
	state.Index[PolicyObject]{Name: BySelector, Keys: func(r PolicyObject) (keys []state.Key) {
		for _, rule := range r.Rules {
			keys = append(keys, indexKeys(labelindex.OfSelector(rule.Subject))...)
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}},
	state.Index[PolicyObject]{Name: ByLabel, Keys: func(r PolicyObject) (keys []state.Key) {
		for _, key := range r.LabelKeys() {
			keys = append(keys, state.Join(key))
		}
		return keys
	}},
	state.Index[PolicyObject]{Name: ByServices, Keys: func(r PolicyObject) []state.Key {
		return []state.Key{state.Join(r.NamesServices())}
	}})

// Selectors are those of its rules: of their subjects, and of peers.
func (p PolicyObject) Selectors() iter.Seq[identity.Selector] {
	return func(yield func(identity.Selector) bool) {
		for _, r := range p.Rules {
			if !yield(r.Subject) {
				return
			}
			for _, t := range r.Terms() {
				for _, s := range t.Peers {
					if !yield(s) {
						return
					}
				}
			}
		}
	}
}

// LabelKeys lists the labels that its selectors ask about, without their sources, each once.
func (p PolicyObject) LabelKeys() []string {
	keys := map[string]bool{}
	for s := range p.Selectors() {
		for _, r := range s.Requirements() {
			_, key, _ := strings.Cut(r.Key, ":")
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

// NamesServices tells whether a rule takes peers from services.
func (p PolicyObject) NamesServices() bool {
	return slices.ContainsFunc(p.Rules, func(r policy.Rule) bool {
		return slices.ContainsFunc(r.References(), func(ref policy.Reference) bool { return ref.Kind == policy.Services })
	})
}
