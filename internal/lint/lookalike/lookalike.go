// Package lookalike tells objects that are policies from those that only look like ones.
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
//	v := lookalike.Of("cillium.io/v2", "CilliumNetworkPolicy")
//	v.Is, v.Fix // lookalike.Refused, "apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy"
package lookalike

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"weftnet.io/weftnet/internal/kind"
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

// versions are the groups and versions of the policies that are checked, by their kinds.
var versions = func() map[string]string {
	out := map[string]string{}
	for k := range kind.ReadBy(kind.Lint) {
		if k.IsPolicy() {
			out[k.Name] = k.GroupVersion.String()
		}
	}
	return out
}()

// cilium and tiers are groups whose kinds are all known here: one that is not is not enforced.
const (
	cilium = "cilium.io"
	tiers  = v1alpha2.GroupName
)

// isInstalled tells whether the chart has a CRD of a kind of Cilium's group.
func isInstalled(name string) bool {
	k := kind.Named(name)
	return k != nil && k.Group.Group == cilium
}

// isPolicies tells whether a group has policies that are checked.
func isPolicies(group string) bool {
	for _, version := range versions {
		if strings.HasPrefix(version, group+"/") {
			return true
		}
	}
	return false
}

// networks are groups of policies that other networks enforce.
var networks = map[string]string{
	"projectcalico.org": "Calico", "crd.projectcalico.org": "Calico", "crd.antrea.io": "Antrea", "security.antrea.tanzu.vmware.com": "Antrea",
	"k8s.ovn.org": "OVN-Kubernetes", "network.openshift.io": "OpenShift SDN", "kubeovn.io": "Kube-OVN", "crd.nsx.vmware.com": "NSX",
}

// Of looks at an object's apiVersion and kind.
func Of(apiVersion, name string) Verdict {
	version, known := versions[name]
	if known && kind.Find(apiVersion, name) != nil {
		return Verdict{Is: Policy}
	}
	group, _, _ := strings.Cut(apiVersion, "/")
	ours := isPolicies(group)
	singular := name
	if stem, plural := strings.CutSuffix(name, "ies"); plural {
		singular = stem + "y"
	}
	near := schema.Closest(singular, slices.Collect(maps.Keys(versions)))
	switch {
	case networks[group] != "" && strings.HasSuffix(name, "Policy"):
		return Verdict{Is: Foreign, Field: "apiVersion", Does: fmt.Sprintf("kind %s of %s is %s's: nothing here enforces it", name, apiVersion, networks[group])}
	case known && (ours || group == "extensions"):
		return Verdict{Refused, "apiVersion", fmt.Sprintf("%s has no %s, so the API server refuses it", apiVersion, name), "", "apiVersion: " + version}
	case group == tiers && !known && near == "":
		return Verdict{
			Refused, "kind", fmt.Sprintf("kind %s of %s is not enforced", name, apiVersion), language.KindClusterNetwork,
			"write it as a " + language.KindClusterNetwork + " of " + versions[language.KindClusterNetwork] + ", with its tier",
		}
	case ours && near != "" && strings.HasPrefix(versions[near], group+"/"):
		return Verdict{Refused, "kind", fmt.Sprintf("there is no kind %s in %s, so the API server refuses it", name, apiVersion), near, "kind: " + near}
	case near != "" && (strings.HasPrefix(name, "C") || misspells(group, versions[near])):
		return Verdict{
			Refused, "apiVersion", fmt.Sprintf("there is no kind %s in %s, so the API server refuses it", name, apiVersion), near,
			"apiVersion: " + versions[near] + ", kind: " + near,
		}
	case known:
		return Verdict{Is: Foreign, Field: "apiVersion", Does: fmt.Sprintf("kind %s of %s is none of those that are enforced here", name, apiVersion)}
	case group == cilium && !isInstalled(name):
		return Verdict{Is: Foreign, Field: "kind", Does: fmt.Sprintf("kind %s of %s does nothing here, and there is no CRD of it", name, apiVersion)}
	}
	return Verdict{}
}

// misspells tells whether a group is nearly that of a version.
func misspells(group, version string) bool {
	right, _, _ := strings.Cut(version, "/")
	return schema.Closest(group, []string{right}) != ""
}
