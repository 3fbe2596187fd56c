package tenancy

import (
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// policies is what a flow says about those that decided.
type policies struct{ f *flowpb.Flow }

// named is what may be seen of it. Policies of the source decide about egress, those of the destination about ingress.
type named struct {
	egressAllowed, egressDenied, ingressAllowed, ingressDenied []*flowpb.Policy
	log                                                        []string
	match                                                      uint32
}

func (p policies) of(src, dst side, may func(string) bool) (n named) {
	f := p.f
	if src == own {
		n.egressAllowed, n.egressDenied = seen(f.GetEgressAllowedBy(), may), seen(f.GetEgressDeniedBy(), may)
	}
	if dst == own {
		n.ingressAllowed, n.ingressDenied = seen(f.GetIngressAllowedBy(), may), seen(f.GetIngressDeniedBy(), may)
	}
	decided := min(src, dst) // of an event without a direction it is not known which end decided
	switch f.GetTrafficDirection() {
	case flowpb.TrafficDirection_EGRESS:
		decided = src
	case flowpb.TrafficDirection_INGRESS:
		decided = dst
	}
	if decided == own {
		n.log, n.match = f.GetPolicyLog(), f.GetPolicyMatchType()
	}
	return n
}

// seen leaves out policies of namespaces that may not be seen. Those of the whole cluster are of no namespace.
func seen(list []*flowpb.Policy, may func(string) bool) []*flowpb.Policy {
	hidden := func(p *flowpb.Policy) bool { return p.GetNamespace() != "" && !may(p.GetNamespace()) }
	if !slices.ContainsFunc(list, hidden) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), hidden)
}

// same tells whether a flow says no more.
func (n named) same(f *flowpb.Flow) bool {
	return len(n.egressAllowed) == len(f.GetEgressAllowedBy()) && len(n.egressDenied) == len(f.GetEgressDeniedBy()) &&
		len(n.ingressAllowed) == len(f.GetIngressAllowedBy()) && len(n.ingressDenied) == len(f.GetIngressDeniedBy()) &&
		len(n.log) == len(f.GetPolicyLog()) && n.match == f.GetPolicyMatchType()
}

func (n named) set(f *flowpb.Flow) {
	f.EgressAllowedBy, f.EgressDeniedBy, f.IngressAllowedBy, f.IngressDeniedBy = n.egressAllowed, n.egressDenied, n.ingressAllowed, n.ingressDenied
	f.PolicyLog, f.PolicyMatchType = n.log, n.match
}

// copyTo sets fields of a message to those of another one of its type.
func copyTo(to protoreflect.Message) func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
	return func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		to.Set(field, value)
		return true
	}
}
