package policyinput

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Service default/kubernetes is how pods find the API server.
const (
	apiNamespace = "default"
	apiService   = "kubernetes"
)

// labelsOf are the labels of an object that is no pod, for selectors.
func labelsOf(source string, labels map[string]string) identity.Labels {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		out[source+":"+key] = value
	}
	return identity.NewLabels(out)
}

// IsGroup tells whether a reference means a group.
func IsGroup(r policy.Reference, g table.CIDRGroup) bool {
	return r.Kind == policy.CIDRGroups && r.Names("", g.Name, labelsOf("cidrgroup", g.Labels))
}

// IsService tells whether a reference means a service.
func IsService(r policy.Reference, s table.Service) bool {
	return r.Kind == policy.Services && r.Names(s.Namespace, s.Name, labelsOf(identity.SourceK8s, s.Labels))
}

// IsNode tells whether a reference means a node. To one of kind Nodes this one is the entity host, and never meant.
func IsNode(r policy.Reference, n table.Node) bool {
	kind := r.Kind == policy.Nodes && !n.Local || r.Kind == policy.AllNodes
	return kind && r.Names("", n.Name, labelsOf("node", n.Labels))
}

// API is the key by which slices about the API server are found (index table.ByService).
var API = table.ObjectKey(apiNamespace, apiService)

// IsAPI tells whether a slice is about the API server.
func IsAPI(e table.EndpointSlice) bool { return e.Namespace == apiNamespace && e.Service == apiService }

// Resolve gives the rules with what their references stand for on this node.
func Resolve(r state.Reader, t *table.Tables, rules []policy.Rule, config settings.Config) []policy.Rule {
	return ResolveOn("", r, t, rules, config)
}

// ResolveOn is Resolve as the node of this name does it: to each, the others are nodes. Empty: this node.
func ResolveOn(node string, r state.Reader, t *table.Tables, rules []policy.Rule, config settings.Config) []policy.Rule {
	d := finder{r, t, config, node}
	out := rules
	for i, rule := range rules {
		if len(rule.References()) == 0 {
			continue
		}
		if &out[0] == &rules[0] {
			out = slices.Clone(rules)
		}
		out[i] = rule.Resolve(d.find)
	}
	return out
}

// finder reads tables for one answer.
type finder struct {
	r      state.Reader
	t      *table.Tables
	config settings.Config
	node   string // who asks; empty: this node
}

func (d finder) find(ref policy.Reference) (found policy.Found) {
	switch ref.Kind {
	case policy.CIDRGroups:
		if ref.Name != "" {
			g, _ := d.t.CIDRGroups.One(d.r, state.Join(ref.Name))
			found.Prefixes = g.Prefixes
			break
		}
		for g := range d.t.CIDRGroups.All(d.r) {
			if IsGroup(ref, g) {
				found.Prefixes = append(found.Prefixes, g.Prefixes...)
			}
		}
	case policy.Services:
		for s := range d.services(ref) {
			if len(s.Selector) > 0 {
				found.Peers = append(found.Peers, podsOf(s))
			} else {
				found.Prefixes = d.served(s.Namespace, s.Name, found.Prefixes)
			}
		}
	case policy.Nodes, policy.AllNodes:
		for n := range d.t.Nodes.All(d.r) {
			if d.node != "" {
				n.Local = n.Name == d.node
			}
			if (d.config.NodeLabels || ref.Kind == policy.AllNodes) && IsNode(ref, n) {
				found.Prefixes = append(found.Prefixes, singles(n.Addresses)...)
			}
		}
	case policy.APIServer:
		found.Prefixes = d.served(apiNamespace, apiService, nil)
	}
	return found
}

func (d finder) services(ref policy.Reference) func(yield func(table.Service) bool) {
	return func(yield func(table.Service) bool) {
		if ref.Name != "" && ref.Namespace != "" {
			if s, ok := d.t.Services.One(d.r, table.ObjectKey(ref.Namespace, ref.Name)); ok {
				yield(s)
			}
			return
		}
		for s := range d.t.Services.All(d.r) {
			if IsService(ref, s) && !yield(s) {
				return
			}
		}
	}
}

// podsOf chooses the pods that serve a service.
func podsOf(s table.Service) identity.Selector {
	requirements := []identity.Requirement{
		{Key: identity.SourceK8s + ":" + identity.LabelNamespace, Operator: identity.In, Values: []string{s.Namespace}},
		{Key: identity.SourceK8s + ":" + identity.LabelCluster, Operator: identity.Same},
	}
	for key, value := range s.Selector {
		requirements = append(requirements, identity.Requirement{Key: identity.SourceK8s + ":" + key, Operator: identity.In, Values: []string{value}})
	}
	return identity.NewSelector(requirements...)
}

// served appends the addresses of a service's endpoints, whether they are ready or not: policy is about who they are.
func (d finder) served(namespace, name string, out []netip.Prefix) []netip.Prefix {
	for slice := range d.t.EndpointSlices.By(d.r, table.ByService, table.ObjectKey(namespace, name)) {
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

// Audited tells whether the namespace of a subject with these labels asks for what is denied to it, or by it, to pass.
func Audited(r state.Reader, t *table.Tables, subject identity.Labels) bool {
	name, pod := subject.Value(identity.SourceK8s + ":" + identity.LabelNamespace)
	if !pod {
		return false
	}
	namespace, _ := t.Namespaces.One(r, state.Join(name))
	return namespace.Audit
}

// AuditedNamespaces are those that ask for that, by what identity.Namespace says of them.
func AuditedNamespaces(r state.Reader, t *table.Tables) (list []identity.Labels) {
	for n := range t.Namespaces.All(r) {
		if n.Audit {
			list = append(list, identity.Namespace(n.Name, n.Labels))
		}
	}
	return list
}

// Options reads what the configuration says of how policies are enforced.
func Options(r state.Reader, t *table.Tables) (policy.Options, settings.Config) {
	config := t.Config(r)
	o := policy.Options{
		CIDRNodes: config.CIDRNodes, CIDRPods: config.CIDRPods, Audit: config.Audit, Extended: config.Extended, HostByPolicy: config.HostByPolicy,
	}
	switch config.Enforcement {
	case settings.EnforceAlways:
		o.Enforcement = policy.EnforceAlways
	case settings.EnforceNever:
		o.Enforcement = policy.EnforceNever
	}
	return o, config
}

// NodeSubject is a node as one who has policies (host firewall): its labels are those of its Node, reserved:host, and its
// cluster.
func NodeSubject(n table.Node, config settings.Config) policy.Subject {
	labels := map[string]string{
		identity.SourceReserved + ":" + identity.Host.Name(): "",
		identity.SourceK8s + ":" + identity.LabelCluster:     config.ClusterName,
	}
	for key, value := range n.Labels {
		labels[identity.SourceK8s+":"+key] = value
	}
	return policy.Subject{Labels: identity.NewLabels(labels)}
}

// NodeOptions are the options for nodes: what no rule selects stays open, or every node would be cut off before anyone
// could write a policy for it.
func NodeOptions(o policy.Options) policy.Options {
	if o.Enforcement == policy.EnforceAlways {
		o.Enforcement = policy.EnforceByRule
	}
	return o
}
