package policy

import (
	"iter"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/station"
)

// scoped is a set where its NICs are.
type scoped struct {
	scope  station.Scope
	row    table.PolicySet
	policy *engine.Compiled
}

// portsOf are the named ports of a set, without where its NICs are.
func portsOf(s table.PolicySet) string {
	for _, word := range [...]string{"audited in network ", "in network "} {
		if ports, _, found := strings.Cut(s.NamedPorts, word); found {
			return strings.TrimSpace(ports)
		}
	}
	return s.NamedPorts
}

// scopes are where NICs of a set are: in the pod network, which comes first, and in those of their workloads' further NICs.
func (d *sets) scopes(r state.Reader, set state.Key) []station.Scope {
	out := []station.Scope{{}}
	for w := range d.t.Workloads.By(r, table.BySet, set) {
		if there := (station.Scope{Network: w.Network}); !slices.Contains(out, there) { // in an overlay network
			out = append(out, there)
		}
		for m := range station.Members.Prefix(r, state.Join(w.ContainerID)) {
			if m.First == w.Interface && !slices.Contains(out, m.Scope()) {
				out = append(out, m.Scope())
			}
		}
	}
	slices.SortFunc(out, func(a, b station.Scope) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// holdsIn tells whether these are the places that it was computed for.
func (k *known) holdsIn(scopes []station.Scope) bool {
	return slices.EqualFunc(k.sets, scopes, func(s scoped, at station.Scope) bool { return s.scope == at })
}

func (k *known) rows() (rows []table.PolicySet) {
	for _, s := range k.sets {
		rows = append(rows, s.row)
	}
	return rows
}

// in computes the set of one place: of the rules that hold there. One for which the same holds as in the pod network is not computed again.
func (d *sets) in(
	r state.Reader, scope station.Scope, k *known, rules []engine.Rule, peers iter.Seq2[identity.Number, identity.Labels],
	number identity.Number, o engine.Options,
) scoped {
	s := scoped{scope: scope, row: table.PolicySet{Identity: number, NamedPorts: scope.Apart(k.subject.NamedPorts.String())}}
	apart := slices.ContainsFunc(rules, func(rule engine.Rule) bool { return rule.Networks != nil })
	if len(k.sets) > 0 && !apart && (o.Audit || !scope.Audit) {
		first := k.sets[0]
		s.policy, s.row.Entries, s.row.Ranges = first.policy, first.row.Entries, first.row.Ranges
		return s
	}
	o.Audit = o.Audit || scope.Audit
	s.policy = engine.Compile(policyinput.In(r, d.t, rules, scope.Network), k.subject, o).Named(peers, policyinput.Holders(r, d.t))
	s.row.Entries, s.row.Ranges = s.policy.Entries(peers), s.policy.Ranges()
	return s
}

// ofMember names the sets of a NIC's workload: they may hold in another network from now on, or no longer.
func (d *sets) ofMember(r state.Reader, m station.Member) (keys []state.Key) {
	w, _ := d.t.Workloads.One(r, table.AttachmentKey(m.ContainerID, m.First))
	for _, s := range w.Subjects() {
		if s.Set != "" {
			keys = append(keys, s.Set)
		}
	}
	return append(keys, d.narrowed(m.Definition)...)
}

// ofDefinition names the sets with a rule that is narrowed to a definition.
func (d *sets) ofDefinition(_ state.Reader, n network.Definition) []state.Key {
	return d.narrowed(n.Namespace + "/" + n.Name)
}

// ofOverlay names the sets with a rule that is narrowed to a definition which leads to an overlay network: it has a number now.
func (d *sets) ofOverlay(r state.Reader, o overlay.Network) []state.Key {
	return d.narrowedTo(func(networks []string) bool {
		return slices.ContainsFunc(networks, func(name string) bool {
			namespace, short, _ := strings.Cut(name, "/")
			n, there := network.Definitions.One(r, table.ObjectKey(namespace, short))
			return there && n.Overlay == o.Name
		})
	})
}

func (d *sets) narrowed(definition string) []state.Key {
	return d.narrowedTo(func(networks []string) bool { return slices.Contains(networks, definition) })
}

// narrowedTo names the sets with rules that are narrowed to such definitions.
func (d *sets) narrowedTo(such func(networks []string) bool) (keys []state.Key) {
	for set, k := range d.known {
		if such(k.ask.networks) {
			keys = append(keys, set)
		}
	}
	return d.anew(keys)
}
