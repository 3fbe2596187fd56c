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

var operators = map[string]identity.Operator{"In": identity.In, "NotIn": identity.NotIn, "Exists": identity.Exists, "DoesNotExist": identity.DoesNotExist}

// Keys of labels that the cluster gives to pods.
const (
	KeyNamespace = identity.SourceK8s + ":" + identity.LabelNamespace
	KeyCluster   = identity.SourceK8s + ":" + identity.LabelCluster
)

// Pods and InCluster are asked of a peer that is a pod, and one of the policy's own cluster.
var (
	Pods      = identity.Requirement{Key: KeyNamespace, Operator: identity.Exists}
	InCluster = identity.Requirement{Key: KeyCluster, Operator: identity.Same}
)

// InNamespace is asked of a pod of a namespace.
func InNamespace(namespace string) identity.Requirement {
	return identity.Requirement{Key: KeyNamespace, Operator: identity.In, Values: []string{namespace}}
}

// Asks tells whether there is a requirement on a key of source k8s or any.
func Asks(requirements []identity.Requirement, key string) bool {
	return slices.ContainsFunc(requirements, func(r identity.Requirement) bool {
		return r.Key == identity.SourceK8s+":"+key || r.Key == identity.SourceAny+":"+key
	})
}

// Reject says what makes an object invalid, and in which field.
type Reject = func(field, because string, args ...any)

// Requirements reads a selector over labels whose names stand behind a prefix. What the API refuses is rejected.
func Requirements(prefix string, in *metav1.LabelSelector, field string, reject Reject) []identity.Requirement {
	var out []identity.Requirement
	for key, value := range in.MatchLabels {
		Key(key, field+".matchLabels", reject)
		out = append(out, identity.Requirement{Key: prefix + key, Operator: identity.In, Values: []string{value}})
	}
	for i, e := range in.MatchExpressions {
		at := fmt.Sprintf("%s.matchExpressions[%d]", field, i)
		Key(e.Key, at+".key", reject)
		operator := Operator(string(e.Operator), e.Values, at, reject)
		out = append(out, identity.Requirement{Key: prefix + e.Key, Operator: operator, Values: slices.Clone(e.Values)})
	}
	return out
}

// Key rejects the name of a label that is empty.
func Key(name, at string, reject Reject) {
	if name == "" {
		reject(at, "invalid label selector: a key is empty")
	}
}

// Operator reads what the expression at a place asks of a label. Values belong to In and NotIn, and to them alone.
func Operator(name string, values []string, at string, reject Reject) identity.Operator {
	operator, known := operators[name]
	takesValues := operator == identity.In || operator == identity.NotIn
	switch {
	case !known:
		reject(at+".operator", "invalid label selector: %q is not one of In, NotIn, Exists, DoesNotExist", name)
	case takesValues && len(values) == 0:
		reject(at+".values", "invalid label selector: operator %s needs values", name)
	case !takesValues && len(values) > 0:
		reject(at+".values", "invalid label selector: operator %s takes no values", name)
	}
	return operator
}
