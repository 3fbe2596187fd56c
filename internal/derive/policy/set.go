package policy

import (
	"maps"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/station"
)

// sets computes table PolicySets. It keeps what it has computed, filed under what that depends on, so that a change finds
// the sets that it touches; and of those that only some peers touched, it computes these peers alone.
type sets struct {
	t       *table.Tables
	options *state.Memo[options]
	known   map[state.Key]*known
	dependencies
}

// options are the settings, as the engine reads them.
type options struct {
	engine.Options
	settings.Config
}

// known is a set as it was computed last, with those of its NICs in other networks than that of pods.
type known struct {
	sets    []scoped // the first is that of the pod network
	subject engine.Subject
	ask     asking
	touched map[identity.Number]bool // peers to compute again
	stale   bool                     // all of it is to be computed again
}

func newSets(t *table.Tables) (*sets, state.AnyDerivation) {
	d := &sets{t: t, options: state.NewMemo(func(r state.Reader) options {
		o, config := policyinput.Options(r, t)
		return options{o, config}
	}, t.Configs)}
	return d, &state.Derivation[table.PolicySet]{
		Name:  "policy-sets",
		Out:   t.PolicySets,
		KeyOf: func(s table.PolicySet) state.Key { return table.SetKey(s.Identity, portsOf(s)) },
		Inputs: []state.Input{
			state.On(t.Workloads, d.ofWorkload),
			state.On(t.Policies, d.ofPolicy),
			state.On(t.Identities, d.ofIdentity),
			state.On(t.Endpoints, d.ofEndpoint),
			state.On(t.CIDRGroups, d.ofGroup),
			state.On(t.Services, d.ofService),
			state.On(t.EndpointSlices, d.ofSlice),
			state.On(t.Nodes, d.ofNode),
			state.On(t.Configs, d.ofConfig),
			state.On(t.Nodes, ofHost),
			state.On(t.Namespaces, d.ofNamespace),
			state.On(station.Members, d.ofMember),
			state.On(network.Definitions, d.ofDefinition),
			state.On(overlay.Networks, d.ofOverlay),
		},
		Begin:   d.begin,
		Compute: d.compute,
	}
}

func (d *sets) begin() { d.known, d.dependencies = map[state.Key]*known{}, newDependencies() }

// anew marks these sets to be computed as a whole.
func (d *sets) anew(keys []state.Key) []state.Key {
	for _, set := range keys {
		if k := d.known[set]; k != nil {
			k.stale = true
		}
	}
	return keys
}

// peer marks one peer of these sets to be computed. A set that is computed as a whole has all of its peers anyway.
func (d *sets) peer(n identity.Number, keys []state.Key) []state.Key {
	for _, set := range keys {
		if k := d.known[set]; k != nil {
			k.touched[n] = true
		}
	}
	return keys
}

func (d *sets) ofWorkload(r state.Reader, w table.Workload) []state.Key {
	var keys []state.Key
	for _, s := range w.Subjects() {
		if s.Set == "" {
			continue
		}
		keys = append(keys, s.Set)
		keys = append(keys, d.ofHolder(r, s.Identity, w.NamedPorts)...)
	}
	if e, published := d.t.Endpoints.One(r, table.ObjectKey(w.Namespace, w.Pod)); published { // for which the workload speaks, or no longer
		keys = append(keys, d.ofHolder(r, e.Identity, e.NamedPorts)...)
	}
	return keys
}

// selected appends the sets that a selector selects.
func (d *sets) selected(s identity.Selector, keys []state.Key) []state.Key {
	for _, a := range labelindex.OfSelector(s) {
		for set := range d.subjects.On(a) {
			if s.Matches(d.known[set].subject.Labels) {
				keys = append(keys, set)
			}
		}
	}
	return keys
}

func (d *sets) ofPolicy(_ state.Reader, p table.PolicyObject) (keys []state.Key) {
	for _, rule := range p.Rules {
		keys = d.selected(rule.Subject, keys)
	}
	return d.anew(keys)
}

// ofNamespace names the sets of workloads in a namespace: its annotation may have audited them, or no longer.
func (d *sets) ofNamespace(_ state.Reader, n table.Namespace) []state.Key {
	in := identity.Requirement{Key: identity.SourceK8s + ":" + identity.LabelNamespace, Operator: identity.In, Values: []string{n.Name}}
	return d.anew(d.selected(identity.NewSelector(in), nil))
}

func (d *sets) ofIdentity(_ state.Reader, i table.Identity) (keys []state.Key) {
	keys = slices.AppendSeq(keys, d.ports.On(ofAny))
	for _, a := range labelindex.Selecting(i.Labels) {
		keys = d.peers.askers(string(a), func(s identity.Selector) bool { return s.Matches(i.Labels) }, keys)
	}
	return d.peer(i.Number, keys)
}

func (d *sets) ofEndpoint(r state.Reader, e table.Endpoint) []state.Key {
	return d.ofHolder(r, e.Identity, e.NamedPorts)
}

// ofHolder names the sets with a rule that names a port, when a workload of an identity comes or goes, if any workload of that identity
// names ports.
func (d *sets) ofHolder(r state.Reader, n identity.Number, ports []table.NamedPort) []state.Key {
	if d.ports.Len() == 0 || len(ports) == 0 && !policyinput.HasNames(r, d.t, n) {
		return nil
	}
	return d.peer(n, slices.Collect(d.ports.All()))
}

func (d *sets) ofConfig(_ state.Reader, c table.Config) []state.Key {
	switch c.Concern {
	case settings.OfIdentity: // of which a node has its cluster's name
		return []state.Key{table.HostSet}
	case settings.OfPolicy:
		return append(d.anew(slices.Collect(maps.Keys(d.known))), table.HostSet)
	case settings.OfNetworks:
		return d.narrowedTo(func(networks []string) bool { return len(networks) > 0 })
	}
	return nil
}

func (d *sets) compute(r state.Reader, set state.Key) []table.PolicySet {
	m := d.member(r, set)
	k := d.known[set]
	scopes := d.scopes(r, set)
	switch {
	case m == nil:
		d.drop(set, k)
		delete(d.known, set)
		return nil
	case k == nil || k.stale || k.subject.Labels != m.subject.Labels || !k.holdsIn(scopes) || d.differ(r, k):
		d.drop(set, k)
		k = d.whole(r, set, m, scopes)
		d.known[set] = k
		d.file(set, k)
	case len(k.touched) > 0:
		d.patch(r, k)
	}
	return k.rows()
}

// whole computes all of a set, and of those in other networks. What depends on what the rules of all say is filed once.
func (d *sets) whole(r state.Reader, set state.Key, m *member, scopes []station.Scope) *known {
	o := d.enforcement(r, set, m.subject.Labels)
	written := d.rules(r, m.subject.Labels)
	rules := bound(policyinput.Resolve(r, d.t, written, o.Config), m.subject.Labels)
	k := &known{subject: m.subject, ask: asks(written, rules), touched: map[identity.Number]bool{}}
	peers := policyinput.Candidates(r, d.t, k.ask.peers)
	if k.ask.open {
		peers = policyinput.Peers(r, d.t)
	}
	for _, scope := range scopes {
		k.sets = append(k.sets, d.in(r, scope, k, rules, peers, m.number, o.Options))
	}
	return k
}

// bound gives rules with their selectors bound to a subject: those that compare a peer with the subject become plain ones
// (identity.Selector.For).
func bound(rules []engine.Rule, subject identity.Labels) []engine.Rule {
	rules = slices.Clone(rules)
	for i, r := range rules {
		rules[i].Ingress, rules[i].Egress = boundTerms(r.Ingress, subject), boundTerms(r.Egress, subject)
	}
	return rules
}

// boundTerms gives the same slice if no term depends on the subject.
func boundTerms(terms []engine.Term, subject identity.Labels) []engine.Term {
	own := terms
	for i, t := range terms {
		if !slices.ContainsFunc(t.Peers, identity.Selector.Relative) {
			continue
		}
		if &own[0] == &terms[0] {
			own = slices.Clone(terms)
		}
		own[i].Peers = make([]identity.Selector, len(t.Peers))
		for at, s := range t.Peers {
			own[i].Peers[at] = s.For(subject)
		}
	}
	return own
}

// patch computes the entries of the peers that were touched. Those of a peer depend on no other peer.
func (d *sets) patch(r state.Reader, k *known) {
	for i := range k.sets {
		if i > 0 && k.sets[i].policy == k.sets[0].policy {
			k.sets[i].row.Entries = k.sets[0].row.Entries
			continue
		}
		fresh := k.sets[i].policy.Of(policyinput.Some(r, d.t, k.touched), policyinput.Holders(r, d.t))
		k.sets[i].row.Entries = k.merged(k.sets[i].row.Entries, fresh)
	}
	clear(k.touched)
}

// merged gives entries with fresh ones in place of those of touched peers.
func (k *known) merged(old, fresh []engine.Entry) []engine.Entry {
	merged := make([]engine.Entry, 0, len(old)+len(fresh))
	for _, e := range old {
		if k.touched[e.Peer] {
			continue
		}
		for len(fresh) > 0 && fresh[0].Compare(e) < 0 {
			merged, fresh = append(merged, fresh[0]), fresh[1:]
		}
		merged = append(merged, e)
	}
	return append(merged, fresh...)
}

// differ tells whether workloads of one touched peer mean different ports by one name: then the set has to be computed as a whole.
func (d *sets) differ(r state.Reader, k *known) bool {
	for n := range k.touched {
		i, _ := d.t.Identities.One(r, state.Join(uint32(n)))
		if slices.ContainsFunc(k.sets, func(s scoped) bool { return s.policy.Differ(n, i.Labels, policyinput.Holders(r, d.t)) }) {
			return true
		}
	}
	return false
}

// enforcement are the options under which a set is computed: those of the configuration, of the node's own set, of audited namespaces.
func (d *sets) enforcement(r state.Reader, set state.Key, subject identity.Labels) options {
	o := d.options.Of(r)
	if set == table.HostSet {
		o.Options = policyinput.NodeOptions(o.Options)
	}
	o.Options.Audit = o.Options.Audit || policyinput.Audited(r, d.t, subject)
	return o
}

// rules are those that select a subject, in order of their policies.
func (d *sets) rules(r state.Reader, subject identity.Labels) (rules []engine.Rule) {
	found := map[state.Key]table.PolicyObject{}
	for _, a := range labelindex.Selecting(subject) {
		for p := range d.t.Policies.By(r, table.BySelector, state.Key(a)) {
			found[d.t.Policies.Key(p)] = p
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		for _, rule := range found[key].Rules {
			if rule.Subject.Matches(subject) {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// member is a workload that a set is for.
type member struct {
	number  identity.Number
	subject engine.Subject
}

func (d *sets) member(r state.Reader, set state.Key) *member {
	if set == table.HostSet {
		return d.host(r)
	}
	for w := range d.t.Workloads.By(r, table.BySet, set) {
		named := make(engine.NamedPorts, len(w.NamedPorts))
		for i, p := range w.NamedPorts {
			named[i] = engine.NamedPort(p)
		}
		for _, s := range w.Subjects() {
			if s.Set == set {
				return &member{number: s.Identity, subject: engine.Subject{Labels: s.Labels, NamedPorts: named}}
			}
		}
	}
	return nil
}
