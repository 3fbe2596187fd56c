package policy

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/reference"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// sets computes table PolicySets.
type sets struct {
	t     *table.Tables
	local *state.Memo[local]
}

// local is what Workloads and Policies say together: the sets that there must be, and what each depends on.
type local struct {
	sets  map[state.Key]*member
	peers map[string]*watched // by text of a selector that some rule of some set chooses peers with
	named []state.Key         // sets with an egress rule that names a port
	asked map[string]*asked   // by kind and text of a reference that some rule of some set has
	serve []state.Key         // sets with a rule for services: whose pods those are follows from the services
}

// member is one set.
type member struct {
	number  identity.Number
	text    string // of the named ports
	subject engine.Subject
	rules   []engine.Rule // that select the subject
}

type watched struct {
	selector identity.Selector
	sets     []state.Key
}

func newSets(t *table.Tables) Runner {
	d := &sets{t: t}
	d.local = state.NewMemo(d.survey, t.Workloads, t.Policies, t.Nodes, t.Settings)
	return &state.Derivation[table.PolicySet]{
		Name:  "policy-sets",
		Out:   t.PolicySets,
		KeyOf: func(s table.PolicySet) state.Key { return table.SetKey(s.Identity, s.NamedPorts) },
		Inputs: []state.Input{
			state.On(t.Workloads, d.ofWorkload),
			state.On(t.Policies, d.ofPolicy),
			state.On(t.Identities, d.ofIdentity),
			state.On(t.Endpoints, d.ofEndpoint),
			state.On(t.CIDRGroups, d.ofGroup),
			state.On(t.Services, d.ofService),
			state.On(t.EndpointSlices, d.ofSlice),
			state.On(t.Nodes, d.ofNode),
			state.On(t.Settings, d.ofSetting),
			state.On(t.Nodes, ofHost),
			state.On(t.Namespaces, d.ofNamespace),
		},
		Compute: d.compute,
	}
}

// survey looks at all workloads and all rules.
func (d *sets) survey(r state.Reader) local {
	out := local{sets: map[state.Key]*member{}, peers: map[string]*watched{}, asked: map[string]*asked{}}
	if m := d.host(r); m != nil {
		d.choose(r, m)
		out.add(table.HostSet, m)
	}
	for w := range d.t.Workloads.All(r) {
		if w.Set == "" || out.sets[w.Set] != nil {
			continue
		}
		named := make(engine.NamedPorts, len(w.NamedPorts))
		for i, p := range w.NamedPorts {
			named[i] = engine.NamedPort(p)
		}
		m := &member{number: w.Identity, text: named.String(), subject: engine.Subject{Labels: w.Labels, NamedPorts: named}}
		d.choose(r, m)
		out.add(w.Set, m)
	}
	return out
}

// choose gives a set the rules that select its subject.
func (d *sets) choose(r state.Reader, m *member) {
	for p := range d.t.Policies.All(r) {
		for _, rule := range p.Rules {
			if rule.Subject.Matches(m.subject.Labels) {
				m.rules = append(m.rules, rule)
			}
		}
	}
}

func (l *local) add(set state.Key, m *member) {
	l.sets[set] = m
	seen := map[string]bool{}
	named, serve := false, false
	for _, rule := range m.rules {
		for _, ref := range rule.References() {
			key := fmt.Sprint(ref)
			if seen[key] {
				continue
			}
			seen[key] = true
			serve = serve || ref.Kind == engine.Services
			if l.asked[key] == nil {
				l.asked[key] = &asked{reference: ref}
			}
			l.asked[key].sets = append(l.asked[key].sets, set)
		}
		for direction, t := range rule.Terms() {
			named = named || direction == engine.Egress && slices.ContainsFunc(t.Ports, func(p engine.Port) bool { return p.Name != "" })
			for _, s := range t.Peers {
				s = s.For(m.subject.Labels)
				if seen[s.String()] {
					continue
				}
				seen[s.String()] = true
				if l.peers[s.String()] == nil {
					l.peers[s.String()] = &watched{selector: s}
				}
				l.peers[s.String()].sets = append(l.peers[s.String()].sets, set)
			}
		}
	}
	if named {
		l.named = append(l.named, set)
	}
	if serve {
		l.serve = append(l.serve, set)
	}
}

func (d *sets) ofWorkload(r state.Reader, w table.Workload) []state.Key {
	if w.Set == "" {
		return nil
	}
	keys := []state.Key{w.Set}
	if len(w.NamedPorts) > 0 {
		keys = append(keys, d.local.Of(r).named...)
	}
	return keys
}

func (d *sets) ofPolicy(r state.Reader, p table.PolicyObject) (keys []state.Key) {
	for set, m := range d.local.Of(r).sets {
		if slices.ContainsFunc(p.Rules, func(rule engine.Rule) bool { return rule.Subject.Matches(m.subject.Labels) }) {
			keys = append(keys, set)
		}
	}
	return keys
}

func (d *sets) ofIdentity(r state.Reader, i table.Identity) []state.Key {
	l := d.local.Of(r)
	keys := slices.Concat(l.named, l.serve)
	for _, w := range l.peers {
		if w.selector.Matches(i.Labels) {
			keys = append(keys, w.sets...)
		}
	}
	return keys
}

func (d *sets) ofEndpoint(r state.Reader, e table.Endpoint) []state.Key {
	if len(e.NamedPorts) == 0 {
		return nil
	}
	return d.local.Of(r).named
}

func (d *sets) ofSetting(r state.Reader, s table.Setting) (keys []state.Key) {
	switch s.Name {
	case "enable-host-firewall", "cluster-name":
		return []state.Key{table.HostSet}
	case "policy-enforcement-mode", "enable-policy", "allow-localhost", "policy-cidr-match-mode", "policy-audit-mode",
		"enable-node-selector-labels":
		for set := range d.local.Of(r).sets {
			keys = append(keys, set)
		}
	}
	return keys
}

func (d *sets) compute(r state.Reader, key state.Key) []table.PolicySet {
	m := d.local.Of(r).sets[key]
	if m == nil {
		return nil
	}
	options, config := reference.Options(r, d.t)
	if key == table.HostSet && options.Enforcement == engine.EnforceAlways {
		options.Enforcement = engine.EnforceByRule // or every node would be cut off before anybody could write a policy for it
	}
	options.Audit = options.Audit || reference.Audited(r, d.t, m.subject.Labels)
	rules := reference.Resolve(r, d.t, m.rules, config)
	return []table.PolicySet{{
		Identity: m.number, NamedPorts: m.text,
		Entries: engine.Entries(rules, m.subject, reference.Peers(r, d.t), reference.NamedPorts(r, d.t), options),
		Ranges:  engine.Ranges(rules, m.subject, options),
	}}
}

// ofNamespace: it may be audited.
func (d *sets) ofNamespace(r state.Reader, n table.Namespace) (keys []state.Key) {
	for set, m := range d.local.Of(r).sets {
		if name, _ := m.subject.Labels.Value(identity.SourceK8s + ":" + identity.LabelNamespace); name == n.Name {
			keys = append(keys, set)
		}
	}
	return keys
}
