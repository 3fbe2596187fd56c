package cilium

import (
	"fmt"
	"net/netip"
	"strings"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// apiServer is the entity that stands for whatever serves the Kubernetes API.
const apiServer = "kube-apiserver"

// blocks reads the peers by address, and by objects that stand for addresses.
func (e *element) blocks() (out []policy.Block) {
	if len(e.peers.cidr) > 0 {
		out = append(out, policy.NewBlock(prefixes(e.peers.cidr), nil))
	}
	for i, c := range e.peers.cidrSet {
		out = append(out, e.cidrRule(c, fmt.Sprintf("%s.%sCIDRSet[%d]", e.field, e.peers.prefix, i)))
	}
	for i := range e.peers.nodes {
		labels := e.requirements(&e.peers.nodes[i], fmt.Sprintf("%s.%sNodes[%d]", e.field, e.peers.prefix, i))
		out = append(out, named("nodes", policy.Reference{Kind: policy.Nodes, Labels: identity.NewSelector(labels...)}).Also(true, false))
	}
	for i, s := range e.peers.services {
		out = append(out, e.service(s, fmt.Sprintf("%s.toServices[%d]", e.field, i))...)
	}
	return out
}

// named is a block that an object says the prefixes of. Its name says which one.
func named(kind string, of policy.Reference) policy.Block {
	parts := []string{kind}
	if of.Namespace != "" {
		parts = append(parts, "of namespace "+of.Namespace)
	}
	if of.Name != "" {
		parts = append(parts, of.Name)
	} else if !of.Labels.IsZero() {
		parts = append(parts, of.Labels.String())
	}
	return policy.Block{Name: strings.Join(parts, " "), Of: of}
}

func (e *element) cidrRule(c v2.CIDRRule, field string) policy.Block {
	except := prefixes(c.Except)
	if c.CIDR != "" {
		return policy.NewBlock(prefixes([]string{c.CIDR}), except)
	}
	of := policy.Reference{Kind: policy.CIDRGroups, Name: c.CIDRGroupRef}
	if c.CIDRGroupSelector != nil {
		of.Labels = identity.NewSelector(e.requirements(c.CIDRGroupSelector, field+".cidrGroupSelector")...)
	}
	b := named("group", of)
	if out := policy.NewBlock(nil, except); len(out.Except) > 0 {
		b.Except, b.Name = out.Except, b.Name+out.Name
	}
	return b
}

func (e *element) service(s v2.ServiceSelector, field string) []policy.Block {
	of := policy.Reference{Kind: policy.Services, Namespace: e.namespace}
	switch {
	case s.Service != nil && s.ServiceLabels != nil:
		e.Reject(field, "only one of k8sService and k8sServiceSelector can be set")
		return nil
	case s.Service != nil:
		if of.Name = s.Service.ServiceName; of.Name == "" {
			e.Reject(field+".k8sService.serviceName", "a service needs a name")
			return nil
		}
		of.Namespace = firstOf(s.Service.Namespace, of.Namespace)
	case s.ServiceLabels != nil:
		of.Labels = identity.NewSelector(e.requirements(&s.ServiceLabels.Selector, field+".k8sServiceSelector.selector")...)
		of.Namespace = firstOf(s.ServiceLabels.Namespace, of.Namespace)
	default:
		return nil // chooses nothing
	}
	return []policy.Block{named("service", of)}
}

// apiServerBlock is what serves the API, nodes among them. Before its addresses are known it is nothing.
func apiServerBlock() policy.Block {
	return named(apiServer, policy.Reference{Kind: policy.APIServer}).Also(true, false)
}

// apiServerSelector is what has the identity of the API server, wherever it is.
var apiServerSelector = reserved(identity.KubeAPIServer)

// prefixes leaves out what is none: an object with such a text is rejected anyway.
func prefixes(texts []string) (out []netip.Prefix) {
	for _, text := range texts {
		if p, err := parseCIDR(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// parseCIDR reads a prefix or a single address.
func parseCIDR(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err == nil {
		return p, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, err
}
