// Package kind tells objects that are policies from those that only look like ones.
//
// # The world it models
//
// A file has objects of many kinds, most of which are no policies, and nothing is said of these. But an object whose kind or
// group is one letter from that of a policy was meant to be one, and one that another network enforces does nothing here.
// Both pass in silence where they are not looked for: an API server that has the CRD takes them.
//
// # Invariants
//
//   - Pure. A kind that cannot be taken for a policy is Other.
//
// # Example
//
//	v := kind.Of("cillium.io/v2", "CilliumNetworkPolicy")
//	v.Is, v.Fix // kind.Refused, "apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy"
package kind

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/lint/schema"
)

// Is says what an object is.
type Is int

// What an object may be.
const (
	Other   Is = iota // no policy, and not meant to be one
	Policy            // one of those that are checked
	Refused           // the API server has no such kind
	Foreign           // whose network is another one
)

// Verdict is what there is to say about group, version and kind of an object.
type Verdict struct {
	Is               Is
	Field            string // apiVersion or kind
	Does, Meant, Fix string
}

const (
	cilium     = "cilium.io"
	kubernetes = "networking.k8s.io"
	tiers      = v1alpha2.GroupName
)

// Versions are the groups and versions of the kinds that are checked.
var Versions = map[string]string{
	language.KindCilium: cilium + "/v2", language.KindClusterwide: cilium + "/v2", language.KindKubernetes: kubernetes + "/v1",
	language.KindClusterNetwork: tiers + "/v1alpha2",
}

// installed are the other kinds of Cilium's group that the chart has CRDs of.
var installed = []string{
	schema.KindCIDRGroup, "CiliumIdentity", "CiliumEndpoint", "CiliumEndpointSlice", "CiliumNode", "CiliumBandwidthPolicy", "CiliumLoadBalancerIPPool",
}

// networks are groups of policies that other networks enforce.
var networks = map[string]string{
	"projectcalico.org": "Calico", "crd.projectcalico.org": "Calico", "crd.antrea.io": "Antrea", "security.antrea.tanzu.vmware.com": "Antrea",
	"k8s.ovn.org": "OVN-Kubernetes", "network.openshift.io": "OpenShift SDN", "kubeovn.io": "Kube-OVN", "crd.nsx.vmware.com": "NSX",
}

// Of looks at an object's apiVersion and kind.
func Of(apiVersion, kind string) Verdict {
	version, known := Versions[kind]
	if known && apiVersion == version {
		return Verdict{Is: Policy}
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	ours := slices.Contains([]string{cilium, kubernetes, tiers}, group)
	singular := kind
	if stem, plural := strings.CutSuffix(kind, "ies"); plural {
		singular = stem + "y"
	}
	near := schema.Closest(singular, slices.Collect(maps.Keys(Versions)))
	switch {
	case networks[group] != "" && strings.HasSuffix(kind, "Policy"):
		return Verdict{Is: Foreign, Field: "apiVersion", Does: fmt.Sprintf("kind %s of %s is %s's: nothing here enforces it", kind, apiVersion, networks[group])}
	case known && (ours || group == "extensions"):
		return Verdict{Refused, "apiVersion", fmt.Sprintf("%s has no %s, so the API server refuses it", apiVersion, kind), "", "apiVersion: " + version}
	case group == tiers && !known && near == "":
		return Verdict{
			Refused, "kind", fmt.Sprintf("kind %s of %s is not enforced", kind, apiVersion), language.KindClusterNetwork,
			"write it as a " + language.KindClusterNetwork + " of " + Versions[language.KindClusterNetwork] + ", with its tier",
		}
	case ours && near != "" && strings.HasPrefix(Versions[near], group+"/"):
		return Verdict{Refused, "kind", fmt.Sprintf("there is no kind %s in %s, so the API server refuses it", kind, apiVersion), near, "kind: " + near}
	case near != "" && (strings.HasPrefix(kind, "C") || misspells(group, Versions[near])):
		return Verdict{
			Refused, "apiVersion", fmt.Sprintf("there is no kind %s in %s, so the API server refuses it", kind, apiVersion), near,
			"apiVersion: " + Versions[near] + ", kind: " + near,
		}
	case known:
		return Verdict{Is: Foreign, Field: "apiVersion", Does: fmt.Sprintf("kind %s of %s is none of those that are enforced here", kind, apiVersion)}
	case group == cilium && !slices.Contains(installed, kind):
		return Verdict{Is: Foreign, Field: "kind", Does: fmt.Sprintf("kind %s of %s does nothing here, and there is no CRD of it", kind, apiVersion)}
	}
	return Verdict{}
}

// misspells tells whether a group is nearly that of a version.
func misspells(group, version string) bool {
	right, _, _ := strings.Cut(version, "/")
	return schema.Closest(group, []string{right}) != ""
}
