// Package cover compares what rules are about: whether one says all that another says.
//
// # The world it models
//
// Selectors, ports and prefixes as texts, without a cluster: a pod with label app=web in namespace shop has label app=web,
// whichever pod it is. So the answers hold in every cluster.
//
// # Invariants
//
//   - Pure. Yes means in every cluster; no means not known to be so.
//
// # Example
//
//	cover.Implies({app in [web]}, {app exists})   // true
package cover

import (
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

// Term is a term of a rule, with the subject of the rule.
type Term struct {
	policy.Term
	Subject identity.Selector
}

// Covers tells whether every packet that b matches, of every subject that b is for, is one that a matches. outside: prefixes
// are about what is outside the cluster only, which is so unless a setting says otherwise.
func Covers(a, b Term, outside bool) bool {
	if !Implies(b.Subject, a.Subject) {
		return false
	}
	peers := a.AnyPeer || !b.AnyPeer && !slices.ContainsFunc(b.Peers, func(s identity.Selector) bool {
		return !(outside && coverWorld(a.Blocks, s)) && !slices.ContainsFunc(a.Peers, func(by identity.Selector) bool { return Implies(s, by) })
	})
	blocks := a.AnyPeer || !slices.ContainsFunc(b.Blocks, func(narrow policy.Block) bool {
		return !(outside && worldCovers(a.Peers, narrow)) &&
			!slices.ContainsFunc(a.Blocks, func(wide policy.Block) bool { return blockCovers(wide, narrow) })
	})
	return peers && blocks && !slices.ContainsFunc(b.Ports, func(p policy.Port) bool {
		return !slices.ContainsFunc(a.Ports, func(by policy.Port) bool { return portCovers(by, p) })
	})
}

// worldCovers tells whether all that a block may choose is one of the entities among some peers. A service may be pods.
func worldCovers(peers []identity.Selector, b policy.Block) bool {
	if b.Nodes || b.Pods || b.Of.Kind != policy.NoReference && b.Of.Kind != policy.CIDRGroups {
		return false
	}
	has := func(n identity.Number) bool {
		return slices.ContainsFunc(peers, func(s identity.Selector) bool { return s.String() == entity(n) })
	}
	four, six := has(identity.WorldIPv4), has(identity.WorldIPv6)
	return four && six || b.Of.Kind == policy.NoReference && (four || six) && !slices.ContainsFunc(b.Within, func(p netip.Prefix) bool {
		return p.Addr().Is4() != four
	})
}

// coverWorld tells whether a selector is one of the entities that are outside the cluster, and some blocks hold all of it.
func coverWorld(blocks []policy.Block, s identity.Selector) bool {
	all := func(prefix string) bool {
		return slices.ContainsFunc(blocks, func(b policy.Block) bool {
			return blockCovers(b, policy.NewBlock([]netip.Prefix{netip.MustParsePrefix(prefix)}, nil))
		})
	}
	const four, six = "0.0.0.0/0", "::/0"
	switch s.String() {
	case entity(identity.World):
		return all(four) && all(six)
	case entity(identity.WorldIPv4):
		return all(four)
	case entity(identity.WorldIPv6):
		return all(six)
	}
	return false
}

// entity is the text of the selector of an entity.
func entity(n identity.Number) string {
	return identity.NewSelector(identity.Requirement{Key: identity.SourceReserved + ":" + n.Name(), Operator: identity.Exists}).String()
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

// Implies tells whether the wide selector chooses all that the narrow one chooses, as far as their requirements tell.
func Implies(narrow, wide identity.Selector) bool {
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

// requires tells whether all labels that meet n meet w.
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

// Meet tells whether a pod may have the labels that both selectors ask for, as far as labels with values tell.
func Meet(a, b identity.Selector) bool {
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
