package policy

import (
	"slices"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/span"
)

// cell is what an entry says of the packets that it matches.
type cell struct {
	precedence uint32
	verdict    Verdict
	rules      []Origin
}

// cells are the entries of one peer, or of any peer, in one direction.
type cells map[span.Prefix]cell

// add puts a cell at a prefix. The stronger of two stays; two of the same strength share their rules.
func (c cells) add(at span.Prefix, n cell) {
	have, ok := c[at]
	switch {
	case !ok || n.precedence > have.precedence:
		c[at] = n
	case n.precedence == have.precedence:
		have.rules = append(have.rules[:len(have.rules):len(have.rules)], n.rules...)
		c[at] = have
	}
}

func (c cells) addAll(prefixes []span.Prefix, n cell) {
	for _, at := range prefixes {
		c.add(at, n)
	}
}

// settle leaves out what a stronger cell covers, here or among those of any peer. What is left gets stronger (or stays
// the same) the longer its prefix, so that the longest prefix that matches a packet is the strongest one too. Each cell
// also gets the rules of those that cover it with the same strength: all of them decide.
//
// A cell that one of any peer covers with more strength can go: at every packet it matches, the longest match among
// those of any peer is at least as strong as the one that covers.
func (c cells) settle(anyPeer cells) cells {
	settled := make(cells, len(c))
	for at, own := range c {
		strongest := own.precedence
		rules := slices.Clone(own.rules)
		visit := func(over cell, ok bool) {
			if ok {
				strongest = max(strongest, over.precedence)
				if over.precedence == own.precedence {
					rules = append(rules, over.rules...)
				}
			}
		}
		over, ok := anyPeer[at]
		visit(over, ok)
		for p, more := at.Parent(); more; p, more = p.Parent() {
			over, ok = c[p]
			visit(over, ok)
			over, ok = anyPeer[p]
			visit(over, ok)
		}
		if strongest == own.precedence {
			own.rules = unite(rules)
			settled[at] = own
		}
	}
	return settled
}

// layer is where entries are: what the kernel asks for at a time.
type layer struct {
	view      View
	tier      Tier
	direction Direction
}

// entries appends the cells as entries of a peer, in no order.
func (c cells) entries(l layer, peer identity.Number, entries []Entry) []Entry {
	for at, own := range c {
		e := Entry{
			View: l.view, Tier: l.tier, Direction: l.direction, Peer: peer, Protocol: at.Protocol, Port: at.Port, PortBits: at.Bits,
			Verdict: own.verdict, Precedence: own.precedence, Rules: own.rules,
		}
		e.Match = e.match()
		entries = append(entries, e)
	}
	return entries
}

func (e Entry) match() Match {
	switch {
	case e.Peer == 0 && e.Protocol == 0 && e.Verdict == DenyImplicit:
		return MatchNone
	case e.Peer == 0 && e.Protocol == 0:
		return MatchAll
	case e.Peer == 0 && e.PortBits == 0:
		return MatchProtoOnly
	case e.Peer == 0:
		return MatchL4Only
	case e.Protocol == 0:
		return MatchL3Only
	case e.PortBits == 0:
		return MatchL3Proto
	default:
		return MatchL3L4
	}
}
