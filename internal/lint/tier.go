package lint

import (
	"fmt"

	"weftnet.io/weftnet/internal/lint/cover"
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
		if same && both && cover.Meet(o.row.Rules[0].Subject, other.row.Rules[0].Subject) {
			c.add(o, Hint, "priority", "spec.priority", fmt.Sprintf("%s has the same tier and priority and may be for the same pods: here its rules and these are read side by side, and of two in one place the one that denies wins; elsewhere either may", name(other.Object)),
				"", "give one of them another priority")
		}
	}
}
