package cyclonus

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

// Cyclonus departs from the API in three points, which are left out here:
//
//   - NotIn: to the API it holds where the label is missing, to cyclonus not. So it is asked of labels that all have.
//   - matchLabels with an empty value: to cyclonus a missing label has it. So no value is empty.
//   - A port by name beside an ipBlock in egress: to cyclonus the block's pods have names for ports, to Weftnet an address
//     has none, and the entry allows nothing.

func selectors(keys map[string][]string, everybody ...string) *rapid.Generator[*metav1.LabelSelector] {
	var names []string
	for _, key := range []string{"pod", "other", "ns", corev1.LabelMetadataName, "absent"} {
		if keys[key] != nil {
			names = append(names, key)
		}
	}
	return rapid.Custom(func(t *rapid.T) *metav1.LabelSelector {
		out := &metav1.LabelSelector{}
		if rapid.Bool().Draw(t, "labels") {
			key := rapid.SampledFrom(names).Draw(t, "key")
			out.MatchLabels = map[string]string{key: rapid.SampledFrom(keys[key]).Draw(t, "value")}
		}
		for range rapid.IntRange(0, 1).Draw(t, "expressions") {
			operator := rapid.SampledFrom([]metav1.LabelSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist"}).Draw(t, "operator")
			from := names
			if operator == metav1.LabelSelectorOpNotIn {
				from = everybody
			}
			e := metav1.LabelSelectorRequirement{Key: rapid.SampledFrom(from).Draw(t, "key"), Operator: operator}
			if operator == metav1.LabelSelectorOpIn || operator == metav1.LabelSelectorOpNotIn {
				e.Values = rapid.SliceOfN(rapid.SampledFrom(keys[e.Key]), 1, 2).Draw(t, "values")
			}
			out.MatchExpressions = append(out.MatchExpressions, e)
		}
		return out
	})
}

var (
	podSelectors       = selectors(map[string][]string{"pod": {"a", "b", "c"}, "other": {"a", "none"}, "absent": {"v"}}, "pod", "other")
	namespaceSelectors = selectors(map[string][]string{"ns": {"x", "y", "z"}, corev1.LabelMetadataName: {"x", "z"}, "absent": {"v"}}, "ns", corev1.LabelMetadataName)
)

var blocks = rapid.SampledFrom([]*networkingv1.IPBlock{
	{CIDR: "0.0.0.0/0"},
	{CIDR: "0.0.0.0/0", Except: []string{"192.168.0.0/16"}},
	{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8", "192.168.1.10/32"}},
	{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}},
	{CIDR: "192.168.0.0/16", Except: []string{"192.168.1.0/24", "192.168.2.11/32"}},
	{CIDR: "192.168.1.10/31"},
	{CIDR: "8.8.8.8/32"},
	{CIDR: "::/0", Except: []string{"2001:db8:1::/48"}},
	{CIDR: "2001:db8::/32"},
})

var protocols = rapid.SampledFrom([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP})

// ports makes ports, with names only if names may stand there.
func ports(named bool) *rapid.Generator[networkingv1.NetworkPolicyPort] {
	return rapid.Custom(func(t *rapid.T) (out networkingv1.NetworkPolicyPort) {
		if rapid.Bool().Draw(t, "protocol") {
			p := protocols.Draw(t, "of")
			out.Protocol = &p
		}
		switch kind := rapid.IntRange(0, 5).Draw(t, "port"); {
		case kind == 0:
		case kind < 3 && named:
			p := intstr.FromString(rapid.SampledFrom([]string{"serve-80-tcp", "serve-81-tcp", "serve-80-udp", "serve-81-sctp", "none"}).Draw(t, "name"))
			out.Port = &p
		default:
			p := intstr.FromInt32(rapid.SampledFrom([]int32{53, 79, 80, 81, 1, 65535}).Draw(t, "number"))
			out.Port = &p
			if rapid.IntRange(0, 2).Draw(t, "range") == 0 {
				last := max(p.IntVal, rapid.SampledFrom([]int32{80, 81, 7981, 65535}).Draw(t, "last"))
				out.EndPort = &last
			}
		}
		return out
	})
}

func peers(t *rapid.T) (out []networkingv1.NetworkPolicyPeer, addresses bool) {
	for range rapid.IntRange(0, 3).Draw(t, "peers") {
		var p networkingv1.NetworkPolicyPeer
		switch rapid.IntRange(0, 3).Draw(t, "peer") {
		case 0:
			p.PodSelector = podSelectors.Draw(t, "pods")
		case 1:
			p.NamespaceSelector = namespaceSelectors.Draw(t, "namespaces")
		case 2:
			p.PodSelector, p.NamespaceSelector = podSelectors.Draw(t, "pods"), namespaceSelectors.Draw(t, "namespaces")
		default:
			p.IPBlock, addresses = blocks.Draw(t, "block"), true
		}
		out = append(out, p)
	}
	return out, addresses
}

var policies = rapid.Custom(func(t *rapid.T) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{}
	p.Namespace = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "namespace")
	p.Spec.PodSelector = *podSelectors.Draw(t, "subject")
	p.Spec.PolicyTypes = rapid.SampledFrom([][]networkingv1.PolicyType{nil, {"Ingress"}, {"Egress"}, {"Ingress", "Egress"}}).Draw(t, "types")
	for range rapid.IntRange(0, 2).Draw(t, "ingress") {
		from, _ := peers(t)
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: from, Ports: rapid.SliceOfN(ports(true), 0, 2).Draw(t, "ports")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "egress") {
		to, addresses := peers(t)
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: to, Ports: rapid.SliceOfN(ports(!addresses), 0, 2).Draw(t, "ports")})
	}
	return p
})
