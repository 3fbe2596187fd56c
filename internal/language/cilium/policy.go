package cilium

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// reader reads one object.
type reader struct{ *language.Reader }

// Policy reads a CiliumNetworkPolicy. Without a namespace it is one of namespace default.
func Policy(p *v2.CiliumNetworkPolicy) table.PolicyObject {
	r := reader{language.New(language.KindCilium, &p.ObjectMeta)}
	if r.Object.Namespace == "" {
		r.Object.Namespace = metav1.NamespaceDefault
	}
	return r.policy(p.Spec, p.Specs)
}

// ClusterwidePolicy reads a CiliumClusterwideNetworkPolicy.
func ClusterwidePolicy(p *v2.CiliumClusterwideNetworkPolicy) table.PolicyObject {
	r := reader{language.New(language.KindClusterwide, &p.ObjectMeta)}
	r.Object.Namespace = ""
	return r.policy(p.Spec, p.Specs)
}

func (r reader) policy(spec *v2.Rule, specs []v2.Rule) table.PolicyObject {
	if spec == nil && len(specs) == 0 {
		r.Reject("spec", "empty policy: it has neither spec nor specs")
	}
	if spec != nil {
		r.rule(spec, "spec", "")
	}
	for i := range specs {
		at := fmt.Sprintf("specs[%d]", i)
		r.rule(&specs[i], at, at)
	}
	return r.Row()
}

// rule reads one element of spec or specs. field is its path for people who read YAML, path that of origins, which
// leaves out a plain spec.
func (r reader) rule(in *v2.Rule, field, path string) {
	if len(in.Ingress)+len(in.IngressDeny)+len(in.Egress)+len(in.EgressDeny) == 0 {
		r.Reject(field, "rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny")
	}
	switch {
	case in.EndpointSelector == nil && in.NodeSelector == nil:
		r.Reject(field, "rule must have one of EndpointSelector or NodeSelector; endpointSelector: {} selects all endpoints")
	case in.EndpointSelector != nil && in.NodeSelector != nil:
		r.Reject(field, "rule cannot have both EndpointSelector and NodeSelector")
	case in.NodeSelector != nil && r.Object.Kind == language.KindCilium:
		r.Reject(field+".nodeSelector", "rule cannot have NodeSelector; only a %s can", language.KindClusterwide)
	}
	out := policy.Rule{
		Origin:             r.Origin(path),
		DefaultDenyIngress: len(in.Ingress)+len(in.IngressDeny) > 0,
		DefaultDenyEgress:  len(in.Egress)+len(in.EgressDeny) > 0,
	}
	if d := in.EnableDefaultDeny; d != nil {
		if d.Ingress != nil {
			out.DefaultDenyIngress = *d.Ingress
		}
		if d.Egress != nil {
			out.DefaultDenyEgress = *d.Egress
		}
	}
	s := scope{reader: r, clusterwide: r.Object.Kind == language.KindClusterwide, namespace: r.Object.Namespace}
	if in.EndpointSelector != nil {
		s.init = mentions(in.EndpointSelector, keyInit)
		out.Subject = s.subject(in.EndpointSelector, field+".endpointSelector")
	}
	if in.NodeSelector != nil {
		onNode := identity.Requirement{Key: keyHost, Operator: identity.Exists}
		out.Subject = identity.NewSelector(append(s.requirements(in.NodeSelector, field+".nodeSelector"), onNode)...)
	}
	if in.Log != nil {
		out.Origin.Log = r.log(in.Log.Value, field+".log.value")
	}
	if in.Ingress != nil && len(in.Ingress) == 0 {
		r.Ignore(field+".ingress", "an empty list restricts nothing; to deny all, write ingress: [{}]")
	}
	if in.Egress != nil && len(in.Egress) == 0 {
		r.Ignore(field+".egress", "an empty list restricts nothing; to deny all, write egress: [{}]")
	}
	r.elements(in, &out, s, field, path)
	r.Object.Rules = append(r.Object.Rules, out)
}

const maxLog = 32 // characters

// log reads the text that flows show of the rule.
func (r reader) log(text, field string) string {
	if utf8.RuneCountInString(text) > maxLog || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.Reject(field, "%q is not at most %d printable characters", text, maxLog)
	}
	return text
}

func (r reader) elements(in *v2.Rule, out *policy.Rule, s scope, field, path string) {
	at := func(name string, i int) element {
		e := element{scope: s, path: fmt.Sprintf("%s[%d]", name, i)}
		e.field = field + "." + e.path
		if path != "" {
			e.path = path + "." + e.path
		}
		return e
	}
	for i, in := range in.Ingress {
		e := at("ingress", i)
		e.ingress = true
		e.peers = fromPeers(in.IngressPeer)
		e.ports, e.icmps, e.authentication = in.ToPorts, in.ICMPs, in.Authentication
		out.Ingress = append(out.Ingress, e.terms()...)
	}
	for i, in := range in.IngressDeny {
		e := at("ingressDeny", i)
		e.ingress, e.deny = true, true
		e.peers = fromPeers(in.IngressPeer)
		e.ports, e.icmps = denied(in.ToPorts), in.ICMPs
		out.Ingress = append(out.Ingress, e.terms()...)
	}
	for i, in := range in.Egress {
		e := at("egress", i)
		e.peers = toPeers(in.EgressPeer)
		e.peers.fqdns = in.ToFQDNs
		e.ports, e.icmps, e.authentication = in.ToPorts, in.ICMPs, in.Authentication
		out.Egress = append(out.Egress, e.terms()...)
	}
	for i, in := range in.EgressDeny {
		e := at("egressDeny", i)
		e.deny = true
		e.peers = toPeers(in.EgressPeer)
		e.ports, e.icmps = denied(in.ToPorts), in.ICMPs
		out.Egress = append(out.Egress, e.terms()...)
	}
}

func denied(ports []v2.PortDenyRule) []v2.PortRule {
	var out []v2.PortRule
	for _, p := range ports {
		out = append(out, v2.PortRule{Ports: p.Ports})
	}
	return out
}

const (
	keyInit = identity.SourceReserved + ":init"
	keyHost = identity.SourceReserved + ":host"
)
