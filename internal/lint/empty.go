package lint

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"weftnet.io/weftnet/internal/language"
	"weftnet.io/weftnet/internal/lint/cover"
	"weftnet.io/weftnet/internal/lint/element"
	"weftnet.io/weftnet/internal/policy"
)

// emptyElements notes elements that say nothing, which means no peer in one language and every peer in the other, and lists
// of peers that are there and empty.
func (c *checker) emptyElements(o *object) {
	beside := map[string]int{} // elements that allow, per rule and direction
	for _, r := range o.rules {
		for _, e := range r.Elements() {
			if !e.Deny {
				beside[r.Field+e.Direction]++
			}
		}
	}
	for _, r := range o.rules {
		if r.Idle() {
			c.add(o, Warning, "empty-element", r.Field, "it does nothing: its elements choose no peer, and enableDefaultDeny leaves open what they would close",
				"to see what a default deny would deny", "leave enableDefaultDeny out, and add annotation "+language.ModeAnnotation+": audit")
			continue
		}
		for _, e := range r.Elements() {
			c.emptyPeers(o, e)
			if e.Members > 0 || len(e.Ports) > 0 || len(e.ICMPs) > 0 {
				continue
			}
			switch {
			case e.Deny:
				c.add(o, Warning, "empty-element", e.Field, "an element {} chooses no peer, so it denies nothing",
					"deny every peer", fmt.Sprintf("%sEntities: [all]", e.Prefix))
			case beside[r.Field+e.Direction] > 1:
				c.add(o, Warning, "empty-element", e.Field, "an element {} chooses no peer in this language, so it adds nothing to the elements beside it (in a NetworkPolicy it would allow every peer)",
					"allow every peer", fmt.Sprintf("%sEntities: [all]; or leave the element out", e.Prefix))
			case r.KeepsOpen(e.Direction):
				c.add(o, Warning, "empty-element", e.Field, "an element {} chooses no peer, and enableDefaultDeny leaves the direction open, so it does nothing", "", "leave it out")
			default:
				c.add(o, Hint, "empty-element", e.Field, fmt.Sprintf("an element {} chooses no peer in this language: nothing may %s (in a NetworkPolicy it would allow every peer)", verb(e.Direction)),
					"", fmt.Sprintf("to allow every peer: %sEntities: [all]", e.Prefix))
			}
		}
	}
	if o.kubernetes == nil {
		return
	}
	spec := o.kubernetes.Spec
	for i, in := range spec.Ingress {
		if len(in.From) == 0 && len(in.Ports) == 0 && o.row.Rules != nil && o.row.Rules[0].DefaultDenyIngress {
			c.openEntry(o, fmt.Sprintf("spec.ingress[%d]", i), "ingress", len(spec.Ingress))
		}
	}
	for i, in := range spec.Egress {
		if len(in.To) == 0 && len(in.Ports) == 0 && o.row.Rules != nil && o.row.Rules[0].DefaultDenyEgress {
			c.openEntry(o, fmt.Sprintf("spec.egress[%d]", i), "egress", len(spec.Egress))
		}
	}
}

func (c *checker) openEntry(o *object, field, direction string, count int) {
	if count > 1 {
		c.add(o, Warning, "empty-element", field, fmt.Sprintf("an element {} of a NetworkPolicy allows every peer to %s, so the elements beside it restrict nothing", verb(direction)),
			"the other elements only", "leave this element out")
		return
	}
	c.add(o, Hint, "empty-element", field, fmt.Sprintf("an element {} of a NetworkPolicy allows every peer to %s (in a CiliumNetworkPolicy it would allow no peer)", verb(direction)),
		"", fmt.Sprintf("to deny all: %s: []", direction))
}

// emptyPeers notes fromEndpoints: [] and its kin.
func (c *checker) emptyPeers(o *object, e element.Element) {
	if e.Members == 1 && e.Endpoints != nil && len(e.Endpoints) == 0 {
		effect := "allows no peer"
		if e.Deny {
			effect = "denies no peer"
		}
		c.add(o, Warning, "empty-peers", fmt.Sprintf("%s.%sEndpoints", e.Field, e.Prefix), "an empty list of peers chooses no peer, so the element "+effect,
			"every pod of the namespace", fmt.Sprintf("%sEndpoints: [{}]", e.Prefix))
	}
}

// denyOnly notes a direction with deny elements alone: all else closes, too, unless another policy lets something pass for all
// its pods. A policy that denies all peers means that.
func (c *checker) denyOnly(o *object) {
	for i, r := range o.rules {
		for _, direction := range []string{"ingress", "egress"} {
			var denies []element.Element
			allows := false
			for _, e := range r.Elements() {
				if e.Direction == direction && e.Deny {
					denies = append(denies, e)
				}
				allows = allows || e.Direction == direction && !e.Deny
			}
			everybody := slices.ContainsFunc(denies, func(e element.Element) bool {
				return slices.Contains(e.Entities, "all") && len(e.Ports)+len(e.ICMPs) == 0
			})
			if len(denies) == 0 || allows || everybody || r.KeepsOpen(direction) || i < len(o.row.Rules) && c.allowed(o.row.Rules[i], direction) {
				continue
			}
			c.add(o, Warning, "deny-only", fmt.Sprintf("%s.%sDeny", r.Field, direction), fmt.Sprintf("there are deny elements only, and with them the direction closes for all else, too: nothing may %s", verb(direction)),
				"deny these, and leave all else as it is", fmt.Sprintf("enableDefaultDeny: {%s: false}", direction))
		}
	}
}

// allowed tells whether some policy allows anything in a direction for all subjects of a rule.
func (c *checker) allowed(mine policy.Rule, direction string) bool {
	for _, other := range c.objects {
		for _, r := range other.row.Rules {
			terms := r.Ingress
			if direction == "egress" {
				terms = r.Egress
			}
			if cover.Implies(mine.Subject, r.Subject) && slices.ContainsFunc(terms, func(t policy.Term) bool { return t.Action == policy.ActionAccept }) {
				return true
			}
		}
	}
	return false
}

// policyTypes notes elements of a NetworkPolicy in a direction that its policyTypes leave alone, and an empty egress list
// that closes nothing for want of policyTypes.
func (c *checker) policyTypes(o *object) {
	if o.kubernetes == nil {
		return
	}
	spec := o.kubernetes.Spec
	has := func(t networkingv1.PolicyType) bool { return slices.Contains(spec.PolicyTypes, t) }
	if len(spec.Ingress) > 0 && len(spec.PolicyTypes) > 0 && !has(networkingv1.PolicyTypeIngress) {
		c.add(o, Warning, "policy-types", "spec.ingress", "policyTypes does not name Ingress, so these elements are without effect: ingress stays open",
			"isolate ingress", "policyTypes: [Ingress, Egress]")
	}
	if len(spec.Egress) > 0 && len(spec.PolicyTypes) > 0 && !has(networkingv1.PolicyTypeEgress) {
		c.add(o, Warning, "policy-types", "spec.egress", "policyTypes does not name Egress, so these elements are without effect: egress stays open",
			"isolate egress", "policyTypes: [Ingress, Egress]")
	}
	if spec.Egress != nil && len(spec.Egress) == 0 && len(spec.PolicyTypes) == 0 {
		c.add(o, Warning, "policy-types", "spec.egress", "without policyTypes an empty egress list restricts nothing; and ingress is isolated, since that is the default",
			"deny all egress", "policyTypes: [Egress]")
	}
}
