package language

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/api/cncf/v1beta1"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/table"
)

// Kinds of policy objects.
const (
	KindCilium      = "CiliumNetworkPolicy"
	KindClusterwide = "CiliumClusterwideNetworkPolicy"
	KindKubernetes  = "NetworkPolicy"

	KindClusterNetwork = "ClusterNetworkPolicy" // of the whole cluster, too, but no child of Cilium's
	KindMultiNetwork   = "MultiNetworkPolicy"   // NetworkPolicy of further networks
)

// ModeAnnotation of a policy says how much of it is in force: enforce, audit or stage. On a namespace, audit is for all
// policies that select its pods.
const ModeAnnotation = "policy.weftnet.io/mode"

var modes = map[string]policy.Mode{"": policy.Enforced, "enforce": policy.Enforced, "audit": policy.Audited, "stage": policy.Staged}

// KeepMode takes all annotations from an object but that one, and those about networks.
func KeepMode(o metav1.Object) {
	var kept map[string]string
	for _, name := range []string{ModeAnnotation, network.PolicyAnnotation, v1beta1.PolicyForAnnotation} {
		if value, there := o.GetAnnotations()[name]; there {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = value
		}
	}
	o.SetAnnotations(kept)
}

// Audits tells whether a namespace with these annotations has nothing denied to its pods.
func Audits(annotations map[string]string) bool {
	return modes[annotations[ModeAnnotation]] == policy.Audited
}

// FurtherNICs is what a namespace with these annotations has in place of policy-networks; empty: nothing.
func FurtherNICs(annotations map[string]string) string { return annotations[network.PolicyAnnotation] }

// Reader collects what one object says: its row, and what is wrong with it.
type Reader struct {
	Object   table.PolicyObject
	mode     policy.Mode
	networks []string // nil: it is for all
	invalid  []gap.Gap
}

// New reads what all kinds have: names, and the mode.
func New(kind string, meta *metav1.ObjectMeta) *Reader {
	r := &Reader{Object: table.PolicyObject{
		Kind: kind, Namespace: meta.Namespace, Name: meta.Name, UID: string(meta.UID), Valid: true,
	}}
	field := "metadata.annotations[" + ModeAnnotation + "]"
	var known bool
	switch r.mode, known = modes[meta.Annotations[ModeAnnotation]]; {
	case !known:
		r.Reject(field, "%q is not one of enforce, audit, stage", meta.Annotations[ModeAnnotation])
	case r.mode == policy.Audited:
		r.remark(gap.Audited, field, "audit: what this policy would deny passes, and flows show it with verdict AUDIT")
	case r.mode == policy.Staged:
		r.remark(gap.Staged, field, "stage: this policy is not enforced; flows tell what it would do")
	}
	if text, there := meta.Annotations[v1beta1.PolicyForAnnotation]; there {
		r.policyFor(text)
	}
	return r
}

// policyFor reads the networks that a policy is narrowed to: definitions of its own namespace, or as namespace/name.
func (r *Reader) policyFor(text string) {
	field := "metadata.annotations[" + v1beta1.PolicyForAnnotation + "]"
	r.For()
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		namespace, short, full := strings.Cut(name, "/")
		switch {
		case name == "" || full && (namespace == "" || short == "" || strings.Contains(short, "/")):
			r.Reject(field, "%q is not a list of NetworkAttachmentDefinitions, such as storage,infra/backup", text)
			return
		case full:
			r.For(name)
		case r.Object.Kind == KindClusterwide || r.Object.Kind == KindClusterNetwork:
			r.Reject(field, "%s says no namespace, and neither does this policy have one: write namespace/%s", name, name)
		default:
			r.For(cmp.Or(r.Object.Namespace, metav1.NamespaceDefault) + "/" + name)
		}
	}
}

// For narrows the object to networks: NetworkAttachmentDefinitions as namespace/name. Without any it is for none.
func (r *Reader) For(networks ...string) {
	if r.networks == nil {
		r.networks = []string{}
	}
	r.networks = append(r.networks, networks...)
}

// Scoped tells whether the object is narrowed to networks.
func (r *Reader) Scoped() bool { return r.networks != nil }

// Reject says what makes the object invalid; because is in the words of Cilium where it has a check for it.
func (r *Reader) Reject(field, because string, args ...any) {
	r.invalid = append(r.invalid, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// Note says what of a field is not enforced.
func (r *Reader) Note(field, what string, args ...any) {
	r.remark(gap.NotImplemented, field, what, args...)
}

// Ignore says that a field means nothing.
func (r *Reader) Ignore(field, what string, args ...any) {
	r.remark(gap.Ignored, field, what, args...)
}

func (r *Reader) remark(reason gap.Reason, field, what string, args ...any) {
	r.Object.Problems = append(r.Object.Problems, gap.Gap{Reason: reason, Field: field, Message: fmt.Sprintf(what, args...)})
}

// Origin is the object, and a path inside it: ingress[0].
func (r *Reader) Origin(path string) policy.Origin {
	o := r.Object
	return policy.Origin{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: o.UID, Path: path}
}

// Row is the result: of an invalid object, only what is wrong with it.
func (r *Reader) Row() table.PolicyObject {
	if len(r.invalid) > 0 {
		r.Object.Valid, r.Object.Rules, r.Object.Problems = false, nil, r.invalid
	}
	for i := range r.Object.Rules {
		r.Object.Rules[i].Mode, r.Object.Rules[i].Networks = r.mode, r.networks
	}
	return r.Object
}
