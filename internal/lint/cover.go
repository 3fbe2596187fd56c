package lint

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/lint/cover"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policy/gap"
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
	cover.Term
	o      *object
	origin policy.Origin
	tier   policy.Tier
	mode   policy.Mode
	way    policy.Direction
	in     []string // networks; nil: all
}

// covered notes terms that add nothing: what they allow another one allows, or one denies.
func (c *checker) covered() {
	var terms []term
	for _, o := range c.objects {
		if c.refused(o) {
			continue // what its rules say without the part that is dropped is not what was meant
		}
		for _, r := range o.row.Rules {
			for way, t := range r.Terms() {
				origin := r.Origin
				origin.Path = t.Path
				terms = append(terms, term{cover.Term{Term: t, Subject: r.Subject}, o, origin, r.Tier, r.Mode, way, r.Networks})
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

// outside tells whether prefixes are about what is outside the cluster only.
func (c *checker) outside() bool { return !c.world.Config.CIDRNodes && !c.world.Config.CIDRPods }

// noteCovered notes that a term is covered by another, if it is. Of two that are equal the earlier one stands.
func (c *checker) noteCovered(t, by term, earlier bool) bool {
	if by.in != nil && !slices.Equal(t.in, by.in) || t.way != by.way || t.tier != policy.Normal || by.tier != t.tier || t.mode != by.mode || !cover.Covers(by.Term, t.Term, c.outside()) {
		return false
	}
	field := gap.Field(t.Path)
	switch {
	case t.Action == policy.ActionAccept && by.Action == policy.ActionDeny:
		c.add(t.o, Warning, "denied", field, fmt.Sprintf("it allows nothing: %s denies all of it, and a deny wins over any allow", by.origin), "", "leave it out, or narrow the deny")
	case t.Action != by.Action:
		return false
	case cover.Covers(t.Term, by.Term, c.outside()) && !earlier:
		return false
	case cover.Covers(t.Term, by.Term, c.outside()):
		c.add(t.o, Hint, "duplicate", field, fmt.Sprintf("it says what %s says already", by.origin), "", "leave it out")
	default:
		c.add(t.o, Hint, "shadowed", field, fmt.Sprintf("it adds nothing: %s covers all of it", by.origin), "", "leave it out, or narrow the other")
	}
	return true
}
