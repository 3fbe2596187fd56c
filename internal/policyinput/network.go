package policyinput

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/station"
)

// In gives those of the rules that hold at NICs in a network; 0 is that of pods. A rule that names definitions is for the networks that these
// lead to, whatever other definitions lead there, too; and for those where NICs of this node are that were made by one of them: an edit of a
// definition opens none of these.
func In(r state.Reader, t *table.Tables, rules []policy.Rule, number uint32) []policy.Rule {
	if !slices.ContainsFunc(rules, func(rule policy.Rule) bool { return rule.Networks != nil }) {
		return rules
	}
	config, made := t.Config(r).Networks, map[string]bool{}
	for m := range station.Members.By(r, station.ByNetwork, state.Join(number)) {
		made[m.Definition] = true
	}
	for a := range t.Attachments.All(r) {
		if a.Network == number && number != 0 {
			made[a.Further.Definition] = true
		}
	}
	out := []policy.Rule{}
	for _, rule := range rules {
		if rule.Networks == nil || slices.ContainsFunc(rule.Networks, func(name string) bool {
			if made[name] {
				return true
			}
			n, known := NetworkOf(r, t, name)
			return known && n == number && (number != 0 || rule.Origin.Namespace != "" || config.Trusts(namespaceOf(name)))
		}) {
			out = append(out, rule)
		}
	}
	return out
}

func namespaceOf(name string) string {
	namespace, _, _ := strings.Cut(name, "/")
	return namespace
}

// NetworkOf is the number of the network that a definition leads to, by namespace/name. One that is gone is known by the NICs of this node
// that were made by it.
func NetworkOf(r state.Reader, t *table.Tables, name string) (number uint32, known bool) {
	namespace, short, _ := strings.Cut(name, "/")
	if d, ok := network.Definitions.One(r, table.ObjectKey(namespace, short)); ok {
		return Number(r, t, d)
	}
	for m := range station.Members.All(r) {
		if m.Definition == name {
			return m.Network, true
		}
	}
	for a := range t.Attachments.All(r) {
		if a.Network != 0 && a.Further.Definition == name {
			return a.Network, true
		}
	}
	return 0, false
}

// Number is that of the network that a definition leads to; what it says itself of its wire counts where it may. Not known: an overlay network that
// is not there, or has no number yet.
func Number(r state.Reader, t *table.Tables, d network.Definition) (number uint32, known bool) {
	switch {
	case d.Overlay != "":
		o, _ := overlay.Networks.One(r, state.Join(d.Overlay))
		return o.Number, o.Number != 0
	case d.Wire != "" && !t.Config(r).Networks.Names(d.Namespace):
		return d.Plain, true
	}
	return d.Number, true
}
