// Package labelindex finds selectors by labels, and label sets by selectors, in an index instead of asking each.
//
// # The world it models
//
// A selector that asks for a label with one of some values has those labels as keys (OfSelector): one that asks for app=web
// in namespace shop has the key app=web of shop. A label set has all keys of selectors that may choose it (Selecting): those
// of each of its labels. A selector that asks for nothing that a label set must have has the key Any, which every set has.
//
// The other way round, a label set has each of its labels as a key (OfLabels), and a selector finds it by a prefix of that.
//
// # Invariants
//
//   - If a selector chooses a label set, one key of OfSelector is among those of Selecting, and one of OfLabels begins with
//     the Prefix of one of OfSelector.
//   - The other way round means nothing: what is found is still to be asked.
//
// # Example
//
//	{k8s:io.kubernetes.pod.namespace in ["shop"], any:app in ["web", "api"]}   app=web of shop, app=api of shop
//	k8s:app=web; k8s:io.kubernetes.pod.namespace=shop                         Any, app=web of shop, app=web, app of shop, app, …
package labelindex

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
)

// Key is a label, or the name of one, with or without the namespace that has it.
type Key string

// Any is the key of selectors that have no other.
const Any Key = ""

// join keeps parts apart by a byte that neither labels nor namespaces have; if one had, it would only be found in vain.
func join(parts ...string) Key { return Key(strings.Join(parts, "\x00")) }

const (
	valued  = "="
	present = "?"
)

// OfSelector lists the keys of a selector: those of the requirement that fewest should meet. None if it chooses nothing.
func OfSelector(s identity.Selector) []Key {
	if s.IsZero() {
		return nil
	}
	var best, within identity.Requirement
	for _, r := range s.Requirements() {
		_, name, _ := strings.Cut(r.Key, ":")
		if name == identity.LabelNamespace && r.Operator == identity.In {
			within = r
		}
		if rank(r) < rank(best) {
			best = r
		}
	}
	kind, values := valued, best.Values
	switch best.Operator {
	case identity.In:
	case identity.Exists:
		kind, values = present, []string{""}
	default:
		return []Key{Any}
	}
	_, name, _ := strings.Cut(best.Key, ":")
	namespaces := within.Values
	if within.Operator == identity.OperatorNone || name == identity.LabelNamespace {
		namespaces = []string{""}
	}
	keys := make([]Key, 0, len(values)*len(namespaces))
	for _, value := range values {
		for _, namespace := range namespaces {
			keys = append(keys, join(kind, name, value, namespace))
		}
	}
	return keys
}

// rank orders requirements by how few label sets meet them: a label's value, its being there, a namespace, a cluster.
func rank(r identity.Requirement) int {
	_, name, _ := strings.Cut(r.Key, ":")
	switch {
	case r.Operator != identity.In && r.Operator != identity.Exists:
		return 1 << 20
	case name == identity.LabelCluster:
		return 4 << 16
	case name == identity.LabelNamespace:
		return 3 << 16
	case r.Operator == identity.Exists:
		return 2 << 16
	default:
		return min(len(r.Values), 1<<16)
	}
}

// Selecting lists the keys of selectors that may choose these labels, each once.
func Selecting(l identity.Labels) []Key {
	namespaces := append(slices.Collect(l.ValuesOf(identity.LabelNamespace)), "")
	keys := make([]Key, 1, 1+4*l.Len())
	keys[0] = Any
	for key, value := range l.All() {
		_, name, _ := strings.Cut(key, ":")
		for _, namespace := range namespaces {
			keys = append(keys, join(valued, name, value, namespace), join(present, name, "", namespace))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// OfLabels lists the keys of a label set itself: each label with its namespace, if there is one.
func OfLabels(l identity.Labels) []Key {
	namespaces := slices.Collect(l.ValuesOf(identity.LabelNamespace))
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	keys := make([]Key, 0, l.Len())
	for key, value := range l.All() {
		_, name, _ := strings.Cut(key, ":")
		for _, namespace := range namespaces {
			keys = append(keys, join(valued, name, value, namespace))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Prefix is what one key of OfLabels begins with, of a label set that a selector with this key chooses.
func (k Key) Prefix() string {
	if k == Any {
		return ""
	}
	parts := strings.SplitN(string(k), "\x00", 4)
	switch kind, name, value, namespace := parts[0], parts[1], parts[2], parts[3]; {
	case kind == present:
		return string(join(valued, name, ""))
	case namespace == "":
		return string(join(valued, name, value, ""))
	default:
		return string(k)
	}
}
