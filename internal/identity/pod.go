package identity

import (
	"iter"
	"slices"
	"strings"
)

// Keys of labels that say where a pod lives. No pod gets them by labelling itself so.
const (
	LabelNamespace       = "io.kubernetes.pod.namespace"
	LabelNamespacePrefix = "io.cilium.k8s.namespace.labels." // followed by the key of a label of the namespace
	LabelServiceAccount  = "io.cilium.k8s.policy.serviceaccount"
	LabelCluster         = "io.cilium.k8s.policy.cluster"
)

// LabelVMName is the label with a virtual machine's name.
const LabelVMName = "vm.kubevirt.io/name"

// byKubeVirt are keys of labels that KubeVirt itself gives to pods of machines, whatever the machines say (its staging/src/kubevirt.io/api/core/v1/types.go).
var byKubeVirt = []string{
	"kubevirt.io", "kubevirt.io/created-by", "kubevirt.io/nodeName", "kubevirt.io/migrationJobUID", "kubevirt.io/migrationTargetNodeName",
	"kubevirt.io/migration-target-start-timestamp", "kubevirt.io/outdatedLauncherImage", LabelVMName, "vmi.kubevirt.io/id",
}

// IsKubeVirts tells whether KubeVirt itself gives pods the label with this key.
func IsKubeVirts(key string) bool { return slices.Contains(byKubeVirt, key) }

// claimed begins the keys that only the cluster may give out.
const claimed = "io.cilium.k8s."

// Pod is what a pod's identity is made of.
type Pod struct {
	Cluster         string // empty: no label
	Namespace       string
	ServiceAccount  string // empty: no label
	Labels          map[string]string
	NamespaceLabels map[string]string
}

// all yields the keys, without source, and values of all labels.
func (p Pod) all() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for key, value := range p.Labels {
			if key != LabelNamespace && !strings.HasPrefix(key, claimed) && !yield(key, value) {
				return
			}
		}
		for key, value := range p.NamespaceLabels {
			if !yield(LabelNamespacePrefix+key, value) {
				return
			}
		}
		if !yield(LabelNamespace, p.Namespace) || p.ServiceAccount != "" && !yield(LabelServiceAccount, p.ServiceAccount) {
			return
		}
		if p.Cluster != "" {
			yield(LabelCluster, p.Cluster)
		}
	}
}

// Namespace are the labels that pods have of their namespace alone.
func Namespace(name string, labels map[string]string) Labels {
	return Pod{Namespace: name, NamespaceLabels: labels}.Whole()
}

// Whole are all labels of a pod, those too that count in no identity.
func (p Pod) Whole() Labels {
	labels := map[string]string{}
	for key, value := range p.all() {
		labels[SourceK8s+":"+key] = value
	}
	return NewLabels(labels)
}

// Asking yields selectors that are in use: at least those that ask about the label with this key, without source, and
// whose answer may depend on whether its value is this one.
type Asking func(key, value string) iter.Seq[Selector]

// Identify gives the identity labels of a pod, all with source k8s: those that the filter keeps and, of the others, those
// without which a selector would take the pod for what it is not. Where only their being there matters, their value is
// left empty: pods that no selector tells apart stay one. out names the labels that the filter leaves out.
func Identify(f Filter, p Pod, asking Asking) (labels Labels, out []string) {
	kept := make(map[string]string, len(p.Labels)+len(p.NamespaceLabels)+3)
	left := map[string]string{}
	for key, value := range p.all() {
		if f.Keeps(SourceK8s, key) {
			kept[SourceK8s+":"+key] = value
		} else {
			left[key], out = value, append(out, key)
		}
	}
	labels = NewLabels(kept)
	if asking == nil {
		return labels, out
	}
	asked := false
	for key, value := range left {
		if value, needed := f.needed(labels, key, value, asking); needed {
			kept[SourceK8s+":"+key], asked = value, true
		}
	}
	if asked {
		labels = NewLabels(kept)
	}
	return labels, out
}

// needed tells whether a selector needs a label that the filter leaves out to judge a pod with these labels, and which
// value. A selector that the other labels rule out needs none. What one requirement is told changes no other: they are
// about other labels.
func (f Filter) needed(kept Labels, key, value string, asking Asking) (told string, needed bool) {
	there := NewLabels(map[string]string{SourceK8s + ":" + key: value})
	empty := NewLabels(map[string]string{SourceK8s + ":" + key: ""})
	for s := range asking(key, value) {
		out := f.rulesOut(s, kept)
		for _, r := range s.requirements {
			is := r.matches(there)
			switch {
			case !r.isAbout(key):
			case r.Operator == Same: // the pod may be who asks
				told, needed = value, true
			case !out:
				needed = needed || is != r.matches(Labels{})
				if is != r.matches(empty) {
					told = value
				}
			}
		}
	}
	return told, needed
}

// rulesOut tells whether a selector chooses no pod with these labels, whatever the labels are that the filter leaves out.
func (f Filter) rulesOut(s Selector, kept Labels) bool {
	for _, r := range s.requirements {
		if r.Operator != Same && !r.matches(kept) && f.keeps(r) {
			return true
		}
	}
	return false
}

// isAbout tells whether a requirement is about this label of a pod.
func (r Requirement) isAbout(key string) bool {
	source, name, _ := strings.Cut(r.Key, ":")
	return name == key && (source == SourceK8s || source == SourceAny)
}

// ForPod gives the identity labels of a pod about which no selector asks more than the filter keeps.
func ForPod(f Filter, cluster, namespace, serviceAccount string, podLabels, namespaceLabels map[string]string) Labels {
	labels, _ := Identify(f, Pod{cluster, namespace, serviceAccount, podLabels, namespaceLabels}, nil)
	return labels
}
