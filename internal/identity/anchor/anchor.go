// Package anchor says what selectors and the label sets that they choose have in common, so that one finds the other
// in an index instead of asking each.
//
// # The world it models
//
// A selector that asks for a label with one of some values is filed under those labels: its anchors. It asks for
// app=web in namespace shop: its anchor is app=web of shop. A label set names all anchors that selectors which choose it
// may have: those of each of its labels. A selector that asks for nothing a label set must have (what must be missing, or
// nothing at all) is filed under Everybody, which every label set names.
//
// The other way round, a label set is filed under each of its labels, and a selector finds it below one of its anchors.
//
// # Invariants
//
//   - If a selector chooses a label set, one of Of(selector) is among Named(labels), and one of Filed(labels) begins with
//     the Prefix of one of Of(selector).
//   - The other way round means nothing: who is found is still to be asked.
//
// # Example
//
//	{k8s:io.kubernetes.pod.namespace in ["shop"], any:app in ["web", "api"]}   app=web of shop, app=api of shop
//	k8s:app=web; k8s:io.kubernetes.pod.namespace=shop                         Everybody, app=web of shop, app=web, app of shop, app, …
package anchor

import (
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
)

// Anchor is a label, or the name of one, with or without the namespace that has it.
type Anchor string

// Everybody is the anchor of selectors that have no other.
const Everybody Anchor = ""

// anchor keeps parts apart by a byte that neither labels nor namespaces have; if one had, it would only be found in vain.
func anchor(parts ...string) Anchor { return Anchor(strings.Join(parts, "\x00")) }

const (
	valued  = "="
	present = "?"
)

// Of lists the anchors of a selector: those of the requirement that fewest should meet. None if it chooses nobody.
func Of(s identity.Selector) []Anchor {
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
		return []Anchor{Everybody}
	}
	_, name, _ := strings.Cut(best.Key, ":")
	namespaces := within.Values
	if within.Operator == identity.OperatorNone || name == identity.LabelNamespace {
		namespaces = []string{""}
	}
	anchors := make([]Anchor, 0, len(values)*len(namespaces))
	for _, value := range values {
		for _, namespace := range namespaces {
			anchors = append(anchors, anchor(kind, name, value, namespace))
		}
	}
	return anchors
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

// Named lists the anchors that selectors which choose these labels may have, each once.
func Named(l identity.Labels) []Anchor {
	namespaces := append(slices.Collect(l.ValuesOf(identity.LabelNamespace)), "")
	anchors := make([]Anchor, 1, 1+4*l.Len())
	anchors[0] = Everybody
	for key, value := range l.All() {
		_, name, _ := strings.Cut(key, ":")
		for _, namespace := range namespaces {
			anchors = append(anchors, anchor(valued, name, value, namespace), anchor(present, name, "", namespace))
		}
	}
	slices.Sort(anchors)
	return slices.Compact(anchors)
}

// Filed lists the anchors under which a label set is filed itself: each label with its namespace, if there is one.
func Filed(l identity.Labels) []Anchor {
	namespaces := slices.Collect(l.ValuesOf(identity.LabelNamespace))
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	anchors := make([]Anchor, 0, l.Len())
	for key, value := range l.All() {
		_, name, _ := strings.Cut(key, ":")
		for _, namespace := range namespaces {
			anchors = append(anchors, anchor(valued, name, value, namespace))
		}
	}
	slices.Sort(anchors)
	return slices.Compact(anchors)
}

// Prefix is what one of the Filed anchors of a label set begins with that a selector with this anchor chooses.
func (a Anchor) Prefix() string {
	if a == Everybody {
		return ""
	}
	parts := strings.SplitN(string(a), "\x00", 4)
	switch kind, name, value, namespace := parts[0], parts[1], parts[2], parts[3]; {
	case kind == present:
		return string(anchor(valued, name, ""))
	case namespace == "":
		return string(anchor(valued, name, value, ""))
	default:
		return string(a)
	}
}
