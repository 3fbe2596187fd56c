package policy

import "slices"

// Tier is a round of judgement: the verdict of an earlier one is final, unless it is to pass the packet on. The numbers
// are those of abi enum tier.
type Tier uint8

// Tiers. Only the one in the middle isolates: NetworkPolicy and Cilium's kinds are there, and so is the zero value.
const (
	Normal   Tier = iota
	Admin         // before Normal
	Baseline      // after Normal, for subjects that nothing there isolates
)

// tiers in the order in which they are asked.
var tiers = [...]Tier{Admin, Normal, Baseline}

func (t Tier) String() string { return name("tier", uint8(t), "normal", "admin", "baseline") }

// Action is what a term does with the packets that it matches.
type Action uint8

// Actions.
const (
	ActionAccept Action = iota
	ActionDeny
	ActionPass // the next tier decides
)

func (a Action) String() string { return name("action", uint8(a), "accept", "deny", "pass") }

// verdict that an entry of a term with this action has.
func (a Action) verdict() Verdict {
	return [...]Verdict{ActionAccept: Allow, ActionDeny: Deny, ActionPass: Pass}[a]
}

// kind is the low byte of the precedence: of terms with one rank, those that deny win over those that accept, and those
// over those that pass.
func (a Action) kind() uint32 {
	return [...]uint32{ActionAccept: PrecedenceAllow, ActionDeny: PrecedenceDeny, ActionPass: PrecedenceDefault}[a]
}

// Mode is how much of a policy is in force.
type Mode uint8

// Modes.
const (
	Enforced Mode = iota
	Audited       // what it accepts is accepted, what it would deny passes with verdict Audit
	Staged        // without effect; people see what it would do
)

func (m Mode) String() string { return name("mode", uint8(m), "enforce", "audit", "stage") }

// View is a way to look at rules of several modes. A set has its entries once for each view that differs. The numbers are
// those of abi enum view.
type View uint8

// Views.
const (
	InForce  View = iota // audited policies deny nothing, staged ones are not there
	AsMeant              // audited policies deny, staged ones are not there
	AsStaged             // InForce, and staged policies are enforced
)

func (v View) String() string { return name("view", uint8(v), "in-force", "as-meant", "as-staged") }

// see gives a rule as the view has it; false: it is not there.
func (v View) see(r Rule, options Options) (Rule, bool) {
	r = r.under(options)
	mode := r.Mode
	if mode == Enforced && options.Audit {
		mode = Audited
	}
	switch {
	case mode == Staged && v != AsStaged:
		return Rule{}, false
	case mode == Audited && v != AsMeant:
		return r.harmless(), true
	default:
		return r, true
	}
}

// seeAll gives the rules that select a subject as the view has them.
func (v View) seeAll(rules []Rule, subject Subject, options Options) (seen []Rule) {
	for _, r := range rules {
		if !r.Subject.Matches(subject.Labels) {
			continue
		}
		if r, there := v.see(r, options); there {
			seen = append(seen, r)
		}
	}
	return seen
}

// under is the rule as the daemon's configuration has it: a term about protocols that policies may not name fails closed. It
// lets nothing through, and what it denies it denies on all ports.
func (r Rule) under(o Options) Rule {
	for _, terms := range [...]*[]Term{&r.Ingress, &r.Egress} {
		if o.Extended || !slices.ContainsFunc(*terms, func(t Term) bool { return t.Extended }) {
			continue
		}
		closed := make([]Term, 0, len(*terms))
		for _, t := range *terms {
			if t.Extended && t.Action == ActionDeny {
				t.Ports = []Port{AnyPort}
			}
			if !t.Extended || t.Action == ActionDeny {
				closed = append(closed, t)
			}
		}
		*terms = closed
	}
	return r
}

// harmless is the rule without what it denies.
func (r Rule) harmless() Rule {
	without := func(terms []Term) (kept []Term) {
		for _, t := range terms {
			if t.Action != ActionDeny {
				kept = append(kept, t)
			}
		}
		return kept
	}
	r.Ingress, r.Egress = without(r.Ingress), without(r.Egress)
	r.DefaultDenyIngress, r.DefaultDenyEgress = false, false
	return r
}

// views lists those in which the rules that select a subject say different things.
func views(rules []Rule, subject Subject, options Options) []View {
	out := []View{InForce}
	if options.Enforcement == EnforceNever {
		return out
	}
	modes := [...]bool{Audited: options.Audit, Staged: false}
	for _, r := range rules {
		if r.Mode != Enforced && r.Subject.Matches(subject.Labels) {
			modes[r.Mode] = true
		}
	}
	if modes[Audited] {
		out = append(out, AsMeant)
	}
	if modes[Staged] {
		out = append(out, AsStaged)
	}
	return out
}
