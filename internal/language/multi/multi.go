// Package multi reads MultiNetworkPolicy (k8s.cni.cncf.io/v1beta1): NetworkPolicy of further networks.
//
// # The world it models
//
// Its words are those of a NetworkPolicy. Annotation k8s.v1.cni.cncf.io/policy-for says of which networks it speaks: a pod that it selects
// is isolated at its NICs there and at no other, and a peer is known by its address there. An ipBlock is about whatever has such
// an address, pods, too.
//
// # Invariants
//
//   - Without the annotation it speaks of no network.
//   - It adds nothing to, and takes nothing from, what a NetworkPolicy says of the first NIC. At a further NIC both add up, as any two
//     policies do.
//
// # Example
//
//	metadata: {name: db, namespace: shop, annotations: {k8s.v1.cni.cncf.io/policy-for: "storage, infra/backup"}}
//	spec: {podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
//
// isolates pods of namespace shop with app=db on the wires of shop/storage and infra/backup, and allows those with app=web there.
package multi

import (
	"weftnet.io/weftnet/api/cncf/v1beta1"
	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/language/kubernetes"
	"weftnet.io/weftnet/internal/table"
)

// Object is a MultiNetworkPolicy.
type Object = v1beta1.MultiNetworkPolicy

// Resource is its plural name.
const Resource = v1beta1.MultiNetworkPolicyResource

// Version is its API version, and Install teaches a scheme the kind.
var Version, Install = v1beta1.SchemeGroupVersion, v1beta1.AddToScheme

// Policy reads a MultiNetworkPolicy.
func Policy(p *Object) table.PolicyObject {
	r := language.New(language.KindMultiNetwork, &p.ObjectMeta)
	if !r.Scoped() {
		r.Ignore("metadata.annotations["+v1beta1.PolicyForAnnotation+"]", "there is none, so this policy is for no network")
		r.For()
	}
	return kubernetes.Spec(r, &p.Spec)
}
