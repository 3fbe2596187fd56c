package policy

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// asked is a reference of some set's rules.
type asked struct {
	reference engine.Reference
	sets      []state.Key
}

// askers lists the sets with a reference that a function says yes to.
func (l *local) askers(yes func(engine.Reference) bool) (keys []state.Key) {
	for _, a := range l.asked {
		if yes(a.reference) {
			keys = append(keys, a.sets...)
		}
	}
	return keys
}

// labelsOf are the labels of an object that is no pod, for selectors.
func labelsOf(source string, labels map[string]string) identity.Labels {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		out[source+":"+key] = value
	}
	return identity.NewLabels(out)
}

// These tell whether a reference means a group, a service, a node.
func namesGroup(r engine.Reference, g table.CIDRGroup) bool {
	return r.Kind == engine.CIDRGroups && r.Names("", g.Name, labelsOf("cidrgroup", g.Labels))
}

func namesService(r engine.Reference, s table.Service) bool {
	return r.Kind == engine.Services && r.Names(s.Namespace, s.Name, labelsOf(identity.SourceK8s, s.Labels))
}

func namesNode(r engine.Reference, n table.Node) bool {
	return r.Kind == engine.Nodes && !n.Local && r.Names("", n.Name, labelsOf("node", n.Labels))
}

func (d *sets) ofGroup(r state.Reader, g table.CIDRGroup) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return namesGroup(ref, g) })
}

func (d *sets) ofService(r state.Reader, s table.Service) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return namesService(ref, s) })
}

func (d *sets) ofSlice(r state.Reader, e table.EndpointSlice) []state.Key {
	l := d.local.Of(r)
	if len(l.asked) == 0 {
		return nil
	}
	s, known := d.t.Services.One(r, table.ObjectKey(e.Namespace, e.Service))
	return l.askers(func(ref engine.Reference) bool {
		return known && len(s.Selector) == 0 && namesService(ref, s) || ref.Kind == engine.APIServer && e.Namespace == apiNamespace && e.Service == apiService
	})
}

func (d *sets) ofNode(r state.Reader, n table.Node) []state.Key {
	l := d.local.Of(r)
	return l.askers(func(ref engine.Reference) bool { return namesNode(ref, n) })
}

// Service default/kubernetes is how pods find the API server.
const (
	apiNamespace = "default"
	apiService   = "kubernetes"
)

// resolve gives the rules with what their references stand for.
func (d *sets) resolve(r state.Reader, rules []engine.Rule, config settings.Config) []engine.Rule {
	out := rules
	for i, rule := range rules {
		if len(rule.References()) == 0 {
			continue
		}
		if &out[0] == &rules[0] {
			out = slices.Clone(rules)
		}
		out[i] = rule.Resolve(func(ref engine.Reference) engine.Found { return d.find(r, ref, config) })
	}
	return out
}

func (d *sets) find(r state.Reader, ref engine.Reference, config settings.Config) (found engine.Found) {
	switch ref.Kind {
	case engine.CIDRGroups:
		for g := range d.t.CIDRGroups.All(r) {
			if namesGroup(ref, g) {
				found.Prefixes = append(found.Prefixes, g.Prefixes...)
			}
		}
	case engine.Services:
		for s := range d.services(r, ref) {
			if len(s.Selector) > 0 {
				found.Peers = append(found.Peers, podsOf(s))
			} else {
				found.Prefixes = d.served(r, s.Namespace, s.Name, found.Prefixes)
			}
		}
	case engine.Nodes:
		for n := range d.t.Nodes.All(r) {
			if config.NodeLabels && namesNode(ref, n) {
				found.Prefixes = append(found.Prefixes, singles(n.Addresses)...)
			}
		}
	case engine.APIServer:
		found.Prefixes = d.served(r, apiNamespace, apiService, nil)
	}
	return found
}

func (d *sets) services(r state.Reader, ref engine.Reference) func(yield func(table.Service) bool) {
	return func(yield func(table.Service) bool) {
		if ref.Name != "" && ref.Namespace != "" {
			if s, ok := d.t.Services.One(r, table.ObjectKey(ref.Namespace, ref.Name)); ok {
				yield(s)
			}
			return
		}
		for s := range d.t.Services.All(r) {
			if namesService(ref, s) && !yield(s) {
				return
			}
		}
	}
}

// podsOf chooses the pods that serve a service.
func podsOf(s table.Service) engine.Selector {
	requirements := []engine.Requirement{
		{Key: identity.SourceK8s + ":" + identity.LabelNamespace, Operator: engine.In, Values: []string{s.Namespace}},
		{Key: identity.SourceK8s + ":" + identity.LabelCluster, Operator: engine.Same},
	}
	for key, value := range s.Selector {
		requirements = append(requirements, engine.Requirement{Key: identity.SourceK8s + ":" + key, Operator: engine.In, Values: []string{value}})
	}
	return engine.NewSelector(requirements...)
}

// served appends the addresses of a service's endpoints, whether they are ready or not: policy is about who they are.
func (d *sets) served(r state.Reader, namespace, name string, out []netip.Prefix) []netip.Prefix {
	for slice := range d.t.EndpointSlices.By(r, table.ByService, table.ObjectKey(namespace, name)) {
		for _, e := range slice.Endpoints {
			out = append(out, singles(e.Addresses)...)
		}
	}
	return out
}

func singles(addresses []netip.Addr) []netip.Prefix {
	out := make([]netip.Prefix, len(addresses))
	for i, a := range addresses {
		out[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return out
}
