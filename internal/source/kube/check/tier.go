package check

import (
	"fmt"
	"slices"

	"weftnet.io/weftnet/internal/identity"
)

// priority notes two policies of one tier and priority that may be for the same pods in the same direction: the API does
// not say which of them decides.
func (c *checker) priority(o *object) {
	for _, other := range c.objects {
		if other == o {
			return // of two, the later one is told
		}
		if o.tiers == nil || other.tiers == nil || len(o.row.Rules) == 0 || len(other.row.Rules) == 0 {
			continue
		}
		mine, theirs := o.tiers.Spec, other.tiers.Spec
		same := mine.Tier == theirs.Tier && mine.Priority == theirs.Priority
		both := len(mine.Ingress) > 0 && len(theirs.Ingress) > 0 || len(mine.Egress) > 0 && len(theirs.Egress) > 0
		if same && both && meet(o.row.Rules[0].Subject, other.row.Rules[0].Subject) {
			c.add(o, Hint, "priority", "spec.priority", fmt.Sprintf("%s has the same tier and priority and may be for the same pods: here its rules and these are read side by side, and of two in one place the one that denies wins; elsewhere either may", name(other.Object)),
				"", "give one of them another priority")
		}
	}
}

// extended notes protocols that take a setting.
func (c *checker) extended(o *object) {
	for _, r := range o.row.Rules {
		for _, t := range r.Terms() {
			if t.Extended {
				c.add(o, Hint, "extended", fieldOf(t.Path), "protocols without ports take setting enable-extended-ip-protocols; without it this allows nothing, or denies all ports",
					"", "in ConfigMap cilium-config: enable-extended-ip-protocols: \"true\"")
			}
		}
	}
}

// meet tells whether somebody may have the labels that both selectors ask for, as far as labels with values tell.
func meet(a, b identity.Selector) bool {
	for _, r := range a.Requirements() {
		for _, s := range b.Requirements() {
			if r.Key == s.Key && r.Operator == identity.In && s.Operator == identity.In &&
				!slices.ContainsFunc(r.Values, func(v string) bool { return slices.Contains(s.Values, v) }) {
				return false
			}
		}
	}
	return true
}
