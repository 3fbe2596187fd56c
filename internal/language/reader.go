package language

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// Reader collects what one object says: its row, and what is wrong with it.
type Reader struct {
	Object  table.PolicyObject
	mode    policy.Mode
	invalid []gap.Gap
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
	return r
}

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
		r.Object.Rules[i].Mode = r.mode
	}
	return r.Object
}
