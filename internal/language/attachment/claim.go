package attachment

import (
	"fmt"
	"hash/fnv"

	"k8s.io/apimachinery/pkg/util/validation"

	claimv1 "weftnet.io/weftnet/api/cncf/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/address"
)

// What those that make IPAMClaims need to know of them.
const ClaimResource = claimv1.IPAMClaimResource

// ClaimVersion is theirs, and InstallClaim teaches a scheme the kind.
var ClaimVersion, InstallClaim = claimv1.SchemeGroupVersion, claimv1.AddToScheme

// MadeLabel has the value MadeBy at claims that the operator makes, and PodAnnotation names the pod of a StatefulSet that one is for.
const (
	MadeLabel     = "app.kubernetes.io/managed-by"
	MadeBy        = "weft-operator"
	PodAnnotation = "weftnet.io/pod"
)

// Claim is the name of the IPAMClaim, in its owner's namespace, that the operator makes for a request; empty: none. It makes them where the definition
// says allowPersistentIPs and the agent grants the addresses, for owners with a name that outlives their pods, unless the pod names one itself.
func (d *Definition) Claim(q Request, owner address.Owner) string {
	if q.IPAMClaim != "" || owner == (address.Owner{}) || !d.Granted() || !d.Main().Persistent {
		return ""
	}
	who := owner.Name
	if owner.Pod != "" {
		who = owner.Pod
	}
	name := who + "." + q.Name
	if q.Twin {
		name += "." + q.Interface
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 { // an interface may be called otherwise, and names may be long
		h := fnv.New64a()
		h.Write([]byte(name))
		name = fmt.Sprintf("%s.%016x", who[:min(len(who), 200)], h.Sum64())
	}
	return name
}
