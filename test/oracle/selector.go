package oracle

import (
	"slices"
	"strings"
)

// requirement is one condition of a label selector. Without a source in its key it is about labels of any source.
type requirement struct {
	key, operator string
	values        []string
}

const (
	keyNamespace  = "io.kubernetes.pod.namespace"
	keyNamespaces = "io.cilium.k8s.namespace.labels."
	keyCluster    = "io.cilium.k8s.policy.cluster"
)

// requirements reads matchLabels and matchExpressions, which are ANDed.
func requirements(selector Object) (out []requirement) {
	for key, value := range sub(selector, "matchLabels") {
		wanted, _ := value.(string)
		out = append(out, requirement{key, "In", []string{wanted}})
	}
	for _, e := range objects(selector, "matchExpressions") {
		out = append(out, requirement{text(e, "key"), text(e, "operator"), texts(e, "values")})
	}
	return out
}

// prefixed reads a selector whose keys are plain, as those of labels that begin so.
func prefixed(selector Object, prefix string) []requirement {
	out := requirements(selector)
	for i := range out {
		out[i].key = prefix + out[i].key
	}
	return out
}

// split parts a key into source and name.
func split(key string) (source, name string) {
	source, name, ok := strings.Cut(key, ":")
	if !ok {
		return "any", key
	}
	if source == "" {
		return "any", name
	}
	return source, name
}

// all tells whether labels meet every requirement.
func all(requirements []requirement, labels map[string]string) bool {
	for _, r := range requirements {
		source, name := split(r.key)
		var values []string
		for label, value := range labels {
			s, n := split(label)
			if n == name && (source == "any" || source == s) {
				values = append(values, value)
			}
		}
		in := slices.ContainsFunc(values, func(v string) bool { return slices.Contains(r.values, v) })
		holds := false
		switch r.operator {
		case "In":
			holds = in
		case "NotIn":
			holds = !in
		case "Exists":
			holds = len(values) > 0
		case "DoesNotExist":
			holds = len(values) == 0
		}
		if !holds {
			return false
		}
	}
	return true
}

// about tells whether a requirement has this key, of source k8s or any.
func about(requirements []requirement, key string) bool {
	return slices.ContainsFunc(requirements, func(r requirement) bool {
		source, name := split(r.key)
		return name == key && (source == "k8s" || source == "any")
	})
}

// aboutNamespaceLabels tells whether a requirement is about a label of the namespace.
func aboutNamespaceLabels(requirements []requirement) bool {
	return slices.ContainsFunc(requirements, func(r requirement) bool {
		source, name := split(r.key)
		return strings.HasPrefix(name, keyNamespaces) && (source == "k8s" || source == "any")
	})
}

func aboutReserved(requirements []requirement) bool {
	return slices.ContainsFunc(requirements, func(r requirement) bool {
		source, _ := split(r.key)
		return source == "reserved"
	})
}
