package oracle

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/test/oracle/raw"
)

const (
	keyNamespace  = "io.kubernetes.pod.namespace"
	keyNamespaces = "io.cilium.k8s.namespace.labels."
	keyCluster    = "io.cilium.k8s.policy.cluster"
)

// about tells whether a requirement has this key, of source k8s or any.
func about(requirements []raw.Requirement, key string) bool {
	return slices.ContainsFunc(requirements, func(r raw.Requirement) bool {
		source, name := raw.Split(r.Key)
		return name == key && (source == "k8s" || source == "any")
	})
}

// aboutNamespaceLabels tells whether a requirement is about a label of the namespace.
func aboutNamespaceLabels(requirements []raw.Requirement) bool {
	return slices.ContainsFunc(requirements, func(r raw.Requirement) bool {
		source, name := raw.Split(r.Key)
		return strings.HasPrefix(name, keyNamespaces) && (source == "k8s" || source == "any")
	})
}

func aboutReserved(requirements []raw.Requirement) bool {
	return slices.ContainsFunc(requirements, func(r raw.Requirement) bool {
		source, _ := raw.Split(r.Key)
		return source == "reserved"
	})
}
