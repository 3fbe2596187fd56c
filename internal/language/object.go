package language

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table"
)

// Kinds of policy objects.
const (
	KindCilium      = "CiliumNetworkPolicy"
	KindClusterwide = "CiliumClusterwideNetworkPolicy"
	KindKubernetes  = "NetworkPolicy"

	KindClusterNetwork = "ClusterNetworkPolicy" // of the whole cluster, too, but no child of Cilium's
)

// Cilium reads a CiliumNetworkPolicy. Without a namespace it is one of namespace default.
func Cilium(p *v2.CiliumNetworkPolicy) table.PolicyObject {
	r := newReader(KindCilium, &p.ObjectMeta)
	if r.object.Namespace == "" {
		r.object.Namespace = metav1.NamespaceDefault
	}
	return r.cilium(p.Spec, p.Specs)
}

// Clusterwide reads a CiliumClusterwideNetworkPolicy.
func Clusterwide(p *v2.CiliumClusterwideNetworkPolicy) table.PolicyObject {
	r := newReader(KindClusterwide, &p.ObjectMeta)
	r.object.Namespace = ""
	return r.cilium(p.Spec, p.Specs)
}

// ModeAnnotation of a policy says how much of it is in force: enforce, audit or stage. On a namespace, audit is for all
// policies that select its pods.
const ModeAnnotation = "policy.weftnet.io/mode"

var modes = map[string]policy.Mode{"": policy.Enforced, "enforce": policy.Enforced, "audit": policy.Audited, "stage": policy.Staged}

// KeepMode takes all annotations from an object but that one.
func KeepMode(o metav1.Object) {
	mode, there := o.GetAnnotations()[ModeAnnotation]
	o.SetAnnotations(nil)
	if there {
		o.SetAnnotations(map[string]string{ModeAnnotation: mode})
	}
}

// Audits tells whether a namespace with these annotations has nothing denied to its pods.
func Audits(annotations map[string]string) bool {
	return modes[annotations[ModeAnnotation]] == policy.Audited
}

// reader reads one object.
type reader struct {
	object  table.PolicyObject
	mode    policy.Mode
	invalid []gap.Gap
}

func newReader(kind string, meta *metav1.ObjectMeta) *reader {
	r := &reader{object: table.PolicyObject{
		Kind: kind, Namespace: meta.Namespace, Name: meta.Name, UID: string(meta.UID), Valid: true,
	}}
	field := "metadata.annotations[" + ModeAnnotation + "]"
	var known bool
	switch r.mode, known = modes[meta.Annotations[ModeAnnotation]]; {
	case !known:
		r.reject(field, "%q is not one of enforce, audit, stage", meta.Annotations[ModeAnnotation])
	case r.mode == policy.Audited:
		r.remark(gap.Audited, field, "audit: what this policy would deny passes, and flows show it with verdict AUDIT")
	case r.mode == policy.Staged:
		r.remark(gap.Staged, field, "stage: this policy is not enforced; flows tell what it would do")
	}
	return r
}

// reject says what makes the object invalid; because is in the words of Cilium where it has a check for it.
func (r *reader) reject(field, because string, args ...any) {
	r.invalid = append(r.invalid, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// note says what of a field is not enforced.
func (r *reader) note(field, what string, args ...any) {
	r.remark(gap.NotImplemented, field, what, args...)
}

// ignore says that a field means nothing.
func (r *reader) ignore(field, what string, args ...any) {
	r.remark(gap.Ignored, field, what, args...)
}

func (r *reader) remark(reason gap.Reason, field, what string, args ...any) {
	r.object.Problems = append(r.object.Problems, gap.Gap{Reason: reason, Field: field, Message: fmt.Sprintf(what, args...)})
}

func (r *reader) origin(path string) policy.Origin {
	o := r.object
	return policy.Origin{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID, Path: path}
}

// row is the result: of an invalid object, only what is wrong with it.
func (r *reader) row() table.PolicyObject {
	if len(r.invalid) > 0 {
		r.object.Valid, r.object.Rules, r.object.Problems = false, nil, r.invalid
	}
	for i := range r.object.Rules {
		r.object.Rules[i].Mode = r.mode
	}
	return r.object
}

func (r *reader) cilium(spec *v2.Rule, specs []v2.Rule) table.PolicyObject {
	if spec == nil && len(specs) == 0 {
		r.reject("spec", "empty policy: it has neither spec nor specs")
	}
	if spec != nil {
		r.rule(spec, "spec", "")
	}
	for i := range specs {
		at := fmt.Sprintf("specs[%d]", i)
		r.rule(&specs[i], at, at)
	}
	return r.row()
}

// rule reads one element of spec or specs. field is its path for people who read YAML, path that of origins, which
// leaves out a plain spec.
func (r *reader) rule(in *v2.Rule, field, path string) {
	if len(in.Ingress)+len(in.IngressDeny)+len(in.Egress)+len(in.EgressDeny) == 0 {
		r.reject(field, "rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny")
	}
	switch {
	case in.EndpointSelector == nil && in.NodeSelector == nil:
		r.reject(field, "rule must have one of EndpointSelector or NodeSelector; endpointSelector: {} selects all endpoints")
	case in.EndpointSelector != nil && in.NodeSelector != nil:
		r.reject(field, "rule cannot have both EndpointSelector and NodeSelector")
	case in.NodeSelector != nil && r.object.Kind == KindCilium:
		r.reject(field+".nodeSelector", "rule cannot have NodeSelector; only a %s can", KindClusterwide)
	}
	out := policy.Rule{
		Origin:             r.origin(path),
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
	s := scope{reader: r, clusterwide: r.object.Kind == KindClusterwide, namespace: r.object.Namespace}
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
		r.ignore(field+".ingress", "an empty list restricts nothing; to deny all, write ingress: [{}]")
	}
	if in.Egress != nil && len(in.Egress) == 0 {
		r.ignore(field+".egress", "an empty list restricts nothing; to deny all, write egress: [{}]")
	}
	r.entries(in, &out, s, field, path)
	r.object.Rules = append(r.object.Rules, out)
}

const maxLog = 32 // characters

// log reads the text that flows show of the rule.
func (r *reader) log(text, field string) string {
	if utf8.RuneCountInString(text) > maxLog || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.reject(field, "%q is not at most %d printable characters", text, maxLog)
	}
	return text
}

func (r *reader) entries(in *v2.Rule, out *policy.Rule, s scope, field, path string) {
	at := func(name string, i int) entry {
		e := entry{scope: s, path: fmt.Sprintf("%s[%d]", name, i)}
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
	keyNamespace = identity.SourceK8s + ":" + identity.LabelNamespace
	keyCluster   = identity.SourceK8s + ":" + identity.LabelCluster
	keyInit      = identity.SourceReserved + ":init"
	keyHost      = identity.SourceReserved + ":host"
)
