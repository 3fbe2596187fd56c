// Package label reads selectors over labels in the form that Kubernetes has for them.
//
// # The world it models
//
// In identities a label has its source before its name, and labels of namespaces and nodes have a prefix of their own. A
// selector of the API says "app"; where it stands says whose app that is:
//
//	podSelector        k8s:app
//	namespaceSelector  k8s:io.cilium.k8s.namespace.labels.app
//	nodes              node:app
//
// # Example
//
//	requirements := label.Requirements("k8s:", selector, "spec.podSelector", reject)
package label

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/identity"
)

var operators = map[metav1.LabelSelectorOperator]identity.Operator{
	metav1.LabelSelectorOpIn: identity.In, metav1.LabelSelectorOpNotIn: identity.NotIn,
	metav1.LabelSelectorOpExists: identity.Exists, metav1.LabelSelectorOpDoesNotExist: identity.DoesNotExist,
}

// Requirements reads a selector over labels whose names stand behind a prefix. What the API does not know is rejected:
// field names the place.
func Requirements(prefix string, in *metav1.LabelSelector, field string, reject func(field, because string, args ...any)) []identity.Requirement {
	var out []identity.Requirement
	for key, value := range in.MatchLabels {
		out = append(out, identity.Requirement{Key: prefix + key, Operator: identity.In, Values: []string{value}})
	}
	for i, e := range in.MatchExpressions {
		operator, known := operators[e.Operator]
		if !known {
			reject(fmt.Sprintf("%s.matchExpressions[%d].operator", field, i), "%q is not one of In, NotIn, Exists, DoesNotExist", e.Operator)
		}
		out = append(out, identity.Requirement{Key: prefix + e.Key, Operator: operator, Values: slices.Clone(e.Values)})
	}
	return out
}
