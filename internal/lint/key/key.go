// Package key looks at the keys of label selectors: what a key is about, and what was meant by one that no label has.
//
// # The world it models
//
// A key of a selector in the language of Cilium has a source (k8s, reserved, any if it has none) and a name. Most names are
// labels of pods, of which anything may be one. Some are given by the cluster: where the pod lives, who it is. Such names are
// long, and what is nearly one of them is taken for a label of pods that no pod has.
//
//	io.kubernetes.pod.namespace.labels.tenant   meant: io.cilium.k8s.namespace.labels.tenant
//	kubernetes.io/metadata.name                 a label of namespaces
//	reserved:hosts                              meant: reserved:host
//
// # Invariants
//
//   - Pure. Of a name that may be a label of pods nothing is said.
//
// # Example
//
//	does, meant := key.Doubt("io.kubernetes.pod.namespaces")   // …, "io.kubernetes.pod.namespace"
package key

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/lint/schema"
)

// sources are those that labels and selectors have.
var sources = []string{identity.SourceK8s, identity.SourceReserved, identity.SourceAny, "cidr", "cidrgroup", "fqdn", "node", "unspec", "container", "directory"}

// given are the names that the cluster gives.
var given = []string{identity.LabelNamespace, identity.LabelCluster, identity.LabelServiceAccount}

// Doubt says what is wrong with a key of a selector in the language of Cilium, and which one was meant. Empty: nothing.
func Doubt(key string) (does, meant string) {
	source, name, ok := strings.Cut(key, ":")
	if !ok {
		source, name = "", key
	}
	switch {
	case ok && source != "" && !slices.Contains(sources, source):
		meant = schema.Closest(source, sources)
		if meant != "" {
			meant += ":" + name
		}
		return fmt.Sprintf("no label has source %s, so no pod has this one", source), meant
	case source == identity.SourceReserved:
		var names []string
		for _, n := range identity.ReservedNumbers() {
			names = append(names, n.Name())
		}
		if slices.Contains(names, name) || name == "none" {
			return "", ""
		}
		if meant = schema.Closest(name, names); meant != "" {
			meant = "reserved:" + meant
		}
		return fmt.Sprintf("there is no reserved label %s, so no peer has it", name), meant
	case source != "" && source != identity.SourceK8s && source != identity.SourceAny:
		return "", ""
	}
	with := func(name string) string { // the source that is written
		if name == "" {
			return ""
		}
		return strings.TrimPrefix(source+":"+name, ":")
	}
	if name == corev1.LabelMetadataName {
		return fmt.Sprintf("%s is a label of namespaces, and a selector of endpoints looks at labels of pods", name), with(identity.LabelNamespace)
	}
	if plain, cut := strings.CutPrefix(name, "k8s."); cut { // a dot where the colon should be
		if d, m := Doubt(plain); claimed(plain) && (d == "" || m != "") {
			return unknown(name), identity.SourceK8s + ":" + cmp.Or(m, plain)
		}
	}
	if !claimed(name) || slices.Contains(given, name) {
		return "", ""
	}
	if strings.HasPrefix(name, identity.LabelNamespacePrefix) && len(name) > len(identity.LabelNamespacePrefix) {
		return "", ""
	}
	for _, infix := range []string{"namespace.labels.", "namespace.label.", "namespaces.labels.", "namespace/labels.", "namespace-labels."} {
		if _, label, found := strings.Cut(name, infix); found && label != "" {
			return unknown(name), with(identity.LabelNamespacePrefix + label)
		}
	}
	return unknown(name), with(closest(name))
}

func unknown(name string) string {
	return fmt.Sprintf("no pod has a label %s: names that begin so are given by the cluster, and this is none of them", name)
}

// claimed tells whether a name is one that the cluster gives, or looks like one.
func claimed(name string) bool {
	return strings.HasPrefix(name, "io.kubernetes.") || strings.HasPrefix(name, "io.cilium.")
}

// closest is the given name that another is meant for: by its letters, or by its last word.
func closest(name string) string {
	if near := schema.Closest(name, given); near != "" {
		return near
	}
	last := strings.ToLower(name[strings.LastIndexAny(name, "./")+1:])
	for word, meant := range map[string]string{
		"namespace": identity.LabelNamespace, "namespaces": identity.LabelNamespace, "cluster": identity.LabelCluster,
		"serviceaccount": identity.LabelServiceAccount, "service-account": identity.LabelServiceAccount, "sa": identity.LabelServiceAccount,
	} {
		if last == word {
			return meant
		}
	}
	return ""
}

// Text is labels in words, in order.
func Text(labels map[string]string) string {
	var text []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		text = append(text, key+"="+labels[key])
	}
	return strings.Join(text, ", ")
}
