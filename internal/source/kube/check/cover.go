package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// same notes objects that stand twice: the later one replaces the earlier.
func (c *checker) same() {
	first := map[string]*object{}
	for _, o := range c.objects {
		key := o.Kind + name(o.Object)
		if before := first[key]; before != nil {
			c.add(o, Warning, "same-name", "metadata.name", fmt.Sprintf("%s stands at %s already: applied together, only the last of them remains", name(o.Object), before.At("")),
				"two policies", "give one of them another name")
			continue
		}
		first[key] = o
	}
}

// term is a term of a rule with where it comes from.
type term struct {
	policy.Term
	o       *object
	origin  policy.Origin
	subject identity.Selector
	tier    policy.Tier
	mode    policy.Mode
	way     policy.Direction
}

// covered notes terms that add nothing: what they allow another one allows, or one denies.
func (c *checker) covered() {
	var terms []term
	for _, o := range c.objects {
		if c.refused(o) {
			continue // what its rules say without the part that is dropped is nobody's intention
		}
		for _, r := range o.row.Rules {
			for way, t := range r.Terms() {
				origin := r.Origin
				origin.Path = t.Path
				terms = append(terms, term{t, o, origin, r.Subject, r.Tier, r.Mode, way})
			}
		}
	}
	for i, t := range terms {
		if !t.AnyPeer && len(t.Peers)+len(t.Blocks) == 0 || len(t.Ports) == 0 {
			continue
		}
		for j, by := range terms {
			if i != j && c.noteCovered(t, by, j < i) {
				break
			}
		}
	}
}

// noteCovered notes that a term is covered by another, if it is. Of two that are equal the earlier one stands.
func (c *checker) noteCovered(t, by term, earlier bool) bool {
	if t.way != by.way || t.tier != policy.Normal || by.tier != t.tier || t.mode != by.mode || !covers(by, t) {
		return false
	}
	field := fieldOf(t.Path)
	switch {
	case t.Action == policy.Accept && by.Action == policy.Refuse:
		c.add(t.o, Warning, "denied", field, fmt.Sprintf("it allows nothing: %s denies all of it, and a deny wins over any allow", by.origin), "", "leave it out, or narrow the deny")
	case t.Action != by.Action:
		return false
	case covers(t, by) && !earlier:
		return false
	case covers(t, by):
		c.add(t.o, Hint, "duplicate", field, fmt.Sprintf("it says what %s says already", by.origin), "", "leave it out")
	default:
		c.add(t.o, Hint, "shadowed", field, fmt.Sprintf("it adds nothing: %s covers all of it", by.origin), "", "leave it out, or narrow the other")
	}
	return true
}

// covers tells whether every packet that b matches, of every subject that b is for, is one that a matches.
func covers(a, b term) bool {
	if !implies(b.subject, a.subject) {
		return false
	}
	peers := a.AnyPeer || !b.AnyPeer && !slices.ContainsFunc(b.Peers, func(s identity.Selector) bool {
		return !slices.ContainsFunc(a.Peers, func(by identity.Selector) bool { return implies(s, by) })
	})
	blocks := a.AnyPeer || !slices.ContainsFunc(b.Blocks, func(narrow policy.Block) bool {
		return !slices.ContainsFunc(a.Blocks, func(wide policy.Block) bool { return blockCovers(wide, narrow) })
	})
	return peers && blocks && !slices.ContainsFunc(b.Ports, func(p policy.Port) bool {
		return !slices.ContainsFunc(a.Ports, func(by policy.Port) bool { return portCovers(by, p) })
	})
}

// blockCovers tells whether every address that the narrow block chooses the wide one chooses too. What a reference stands
// for is not known here: it covers itself.
func blockCovers(wide, narrow policy.Block) bool {
	if wide.String() == narrow.String() {
		return true
	}
	within := func(p netip.Prefix, list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	}
	if wide.Of.Kind != policy.NoReference || narrow.Of.Kind != policy.NoReference || narrow.Nodes && !wide.Nodes || narrow.Pods && !wide.Pods {
		return false
	}
	return !slices.ContainsFunc(narrow.Within, func(p netip.Prefix) bool { return !within(p, wide.Within) }) &&
		!slices.ContainsFunc(wide.Except, func(p netip.Prefix) bool {
			overlaps := slices.ContainsFunc(narrow.Within, p.Overlaps)
			return overlaps && !within(p, narrow.Except)
		})
}

func portCovers(a, b policy.Port) bool {
	switch {
	case a == policy.AnyPort:
		return true
	case a.Name != "" || b.Name != "":
		if a.Name == "" {
			return a.First == 0 && a.Last == 0xffff && a.Protocol == b.Protocol
		}
		return a.Name == b.Name && (a.Protocol == 0 || a.Protocol == b.Protocol)
	default:
		return a.Protocol == b.Protocol && a.First <= b.First && b.Last <= a.Last
	}
}

// implies tells whether whoever the narrow selector chooses the wide one chooses too, as far as their requirements tell.
func implies(narrow, wide identity.Selector) bool {
	if narrow.IsZero() || wide.IsZero() {
		return false
	}
	for _, w := range wide.Requirements() {
		if !slices.ContainsFunc(narrow.Requirements(), func(n identity.Requirement) bool { return requires(n, w) }) {
			return false
		}
	}
	return true
}

// requires tells whether whoever meets n meets w.
func requires(n, w identity.Requirement) bool {
	if n.Key != w.Key {
		// What has a label of one source has it of any; what lacks it of one may have it of another.
		_, name, _ := strings.Cut(n.Key, ":")
		if w.Key != identity.SourceAny+":"+name || n.Operator == identity.NotIn || n.Operator == identity.DoesNotExist {
			return false
		}
	}
	if n.Operator == w.Operator && slices.Equal(n.Values, w.Values) {
		return true
	}
	within := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
	}
	switch {
	case n.Operator == identity.In && w.Operator == identity.In:
		return within(n.Values, w.Values)
	case n.Operator == identity.In && w.Operator == identity.Exists:
		return true
	case n.Operator == identity.NotIn && w.Operator == identity.NotIn:
		return within(w.Values, n.Values)
	}
	return false
}
