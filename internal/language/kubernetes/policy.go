package kubernetes

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/label"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// Policy reads a NetworkPolicy.
func Policy(p *networkingv1.NetworkPolicy) table.PolicyObject {
	return Spec(language.New(language.KindKubernetes, &p.ObjectMeta), &p.Spec)
}

// Spec reads the spec of a policy of which this much is read. A direction that policyTypes does not name is left as it is; without
// policyTypes, that is egress if the policy has no egress elements.
func Spec(in *language.Reader, spec *networkingv1.NetworkPolicySpec) table.PolicyObject {
	r := reader{in}
	if r.Object.Namespace == "" {
		r.Object.Namespace = metav1.NamespaceDefault
	}
	types := spec.PolicyTypes
	out := policy.Rule{
		Origin:             r.Origin(""),
		Subject:            identity.NewSelector(append(r.labels(&spec.PodSelector, "", "spec.podSelector"), label.InNamespace(r.Object.Namespace))...),
		DefaultDenyIngress: len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress),
		DefaultDenyEgress:  len(types) == 0 && len(spec.Egress) > 0 || slices.Contains(types, networkingv1.PolicyTypeEgress),
	}
	for i, name := range types {
		if name != networkingv1.PolicyTypeIngress && name != networkingv1.PolicyTypeEgress {
			r.Reject(fmt.Sprintf("spec.policyTypes[%d]", i), "%q is not one of Ingress, Egress", name)
		}
	}
	for i, in := range spec.Ingress {
		e := element{reader: r, path: fmt.Sprintf("ingress[%d]", i), member: "from", peers: in.From, ports: in.Ports}
		out.Ingress = append(out.Ingress, e.terms()...)
	}
	for i, in := range spec.Egress {
		e := element{reader: r, path: fmt.Sprintf("egress[%d]", i), member: "to", peers: in.To, ports: in.Ports}
		out.Egress = append(out.Egress, e.terms()...)
	}
	if !out.DefaultDenyIngress {
		out.Ingress = nil
	}
	if !out.DefaultDenyEgress {
		out.Egress = nil
	}
	r.Object.Rules = []policy.Rule{out}
	return r.Row()
}

// reader reads one object.
type reader struct{ *language.Reader }

// labels reads a selector over labels of pods (prefix empty) or of namespaces.
func (r reader) labels(in *metav1.LabelSelector, prefix, field string) []identity.Requirement {
	return label.Requirements(identity.SourceK8s+":"+prefix, in, field, r.Reject)
}

// element is an element of ingress or egress. Without peers it is about every peer, without ports about all.
type element struct {
	reader
	path   string // ingress[0]
	member string // from or to
	peers  []networkingv1.NetworkPolicyPeer
	ports  []networkingv1.NetworkPolicyPort
}

func (e *element) terms() []policy.Term {
	t := policy.Term{Path: e.path, AnyPeer: len(e.peers) == 0}
	for i, p := range e.peers {
		at := fmt.Sprintf("spec.%s.%s[%d]", e.path, e.member, i)
		if p.IPBlock != nil {
			t.Blocks = append(t.Blocks, e.block(p, at)...)
			continue
		}
		if p.PodSelector == nil && p.NamespaceSelector == nil {
			e.Reject(at, "must specify a peer")
			continue
		}
		t.Peers = append(t.Peers, e.peer(p, at))
	}
	if len(e.ports) == 0 {
		t.Ports = []policy.Port{policy.AnyPort}
	}
	for i, p := range e.ports {
		t.Ports = e.port(p, fmt.Sprintf("spec.%s.ports[%d]", e.path, i), t.Ports)
	}
	return []policy.Term{t}
}

// block reads an ipBlock. It is about whatever has such an address, pods and nodes, too.
func (e *element) block(p networkingv1.NetworkPolicyPeer, field string) []policy.Block {
	if p.PodSelector != nil || p.NamespaceSelector != nil {
		e.Reject(field, "may not specify both ipBlock and another peer")
	}
	within, err := netip.ParsePrefix(p.IPBlock.CIDR)
	if err != nil {
		e.Reject(field+".ipBlock.cidr", "%q is not a prefix such as 10.0.0.0/8", p.IPBlock.CIDR)
		return nil
	}
	var out []netip.Prefix
	for i, text := range p.IPBlock.Except {
		except, err := netip.ParsePrefix(text)
		at := fmt.Sprintf("%s.ipBlock.except[%d]", field, i)
		switch {
		case err != nil:
			e.Reject(at, "%q is not a prefix such as 10.0.0.0/8", text)
		case except.Bits() <= within.Bits() || !within.Contains(except.Addr()):
			e.Reject(at, "%s must be a strict subset of cidr %s", text, p.IPBlock.CIDR)
		default:
			out = append(out, except)
		}
	}
	return []policy.Block{policy.NewBlock([]netip.Prefix{within}, out).Also(true, true)}
}

// peer is the pods of the policy's namespace, or of the namespaces that namespaceSelector chooses.
func (e *element) peer(p networkingv1.NetworkPolicyPeer, field string) identity.Selector {
	own := []identity.Requirement{label.InNamespace(e.Object.Namespace)}
	if p.NamespaceSelector != nil {
		own = append(e.labels(p.NamespaceSelector, identity.LabelNamespacePrefix, field+".namespaceSelector"), label.Pods)
	}
	if p.PodSelector != nil {
		own = append(own, e.labels(p.PodSelector, "", field+".podSelector")...)
	}
	if !label.Asks(own, identity.LabelCluster) {
		own = append(own, label.InCluster)
	}
	return identity.NewSelector(own...)
}

var protocols = map[corev1.Protocol]uint8{
	corev1.ProtocolTCP: policy.TCP, corev1.ProtocolUDP: policy.UDP, corev1.ProtocolSCTP: policy.SCTP,
}

func (e *element) port(in networkingv1.NetworkPolicyPort, field string, out []policy.Port) []policy.Port {
	protocol := policy.TCP
	if in.Protocol != nil {
		number, known := protocols[*in.Protocol]
		if !known {
			e.Reject(field+".protocol", "%q is not one of TCP, UDP, SCTP", *in.Protocol)
			return out
		}
		protocol = number
	}
	switch {
	case in.Port == nil:
		return append(out, policy.AllPorts(protocol))
	case in.Port.Type == intstr.String:
		return append(out, policy.Port{Name: in.Port.StrVal, Protocol: protocol})
	}
	first := in.Port.IntVal
	last := first
	if in.EndPort != nil {
		last = *in.EndPort
	}
	if first < 1 || last > 0xffff || last < first {
		e.Reject(field, "ports %d to %d are not a range within 1 to 65535", first, last)
		return out
	}
	return append(out, policy.Port{Protocol: protocol, First: uint16(first), Last: uint16(last)})
}
