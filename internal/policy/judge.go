package policy

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/identity"
)

// Peer is the other end of a connection. One that no identity is known for has Number 0; no selector chooses it, and no
// block one without an address.
type Peer struct {
	Number     identity.Number
	Labels     identity.Labels
	NamedPorts NamedPorts
	Address    netip.Addr
}

// Packet is what policy sees of the first packet of a connection. Port is that of the end that offers the service, after
// service translation; of ICMP it is type<<8 | code.
type Packet struct {
	Direction Direction
	Protocol  uint8
	Port      uint16
}

// Judge says what the rules say of a packet, and which rules. It reads rules as people do, one after the other; the
// kernel's entries mean the same. Verdict Audit is for what audited policies would deny, and comes with them.
func Judge(rules []Rule, subject Subject, peer Peer, packet Packet, options Options) (Verdict, []Origin) {
	verdict, by, _ := judgeView(InForce, rules, subject, peer, packet, options)
	if verdict.Denies() {
		return verdict, by
	}
	if meant, because, _ := judgeView(AsMeant, rules, subject, peer, packet, options); meant.Denies() {
		return Audit, because
	}
	return verdict, by
}

// Foresee says what staged policies would make of a packet.
func Foresee(rules []Rule, subject Subject, peer Peer, packet Packet, options Options) (Verdict, []Origin) {
	verdict, by, _ := judgeView(AsStaged, rules, subject, peer, packet, options)
	return verdict, by
}

// Passed tells which rules passed a packet on to the tier that decides, in the order of tiers.
func Passed(rules []Rule, subject Subject, peer Peer, packet Packet, options Options) []Origin {
	_, _, passed := judgeView(InForce, rules, subject, peer, packet, options)
	return passed
}

func judgeView(
	view View, rules []Rule, subject Subject, peer Peer, packet Packet, options Options,
) (verdict Verdict, by, passed []Origin) {
	if options.Enforcement == EnforceNever {
		return Allow, nil, nil
	}
	rules = view.seeAll(rules, subject, options)
	for _, tier := range tiers {
		l := layer{view, tier, packet.Direction}
		isolated, isolating := isolation(rules, subject.Labels, l, options)
		strongest := uint32(0)
		verdict, by = VerdictNone, nil
		weigh := func(t Term, o ...Origin) {
			switch p := t.precedence(); {
			case !t.matches(subject, peer, packet, options):
			case verdict == VerdictNone || p > strongest:
				strongest, verdict, by = p, t.Action.verdict(), o
			case p == strongest:
				by = append(by, o...)
			}
		}
		for _, r := range rules {
			if r.Tier != tier {
				continue
			}
			for _, t := range r.In(packet.Direction) {
				origin := r.Origin
				origin.Path = t.Path
				weigh(t, origin)
			}
		}
		if t, applies := fromHost(subject.Labels, l, isolated, options); applies {
			weigh(t)
		}
		switch {
		case verdict == Allow || verdict == Deny:
			return verdict, unite(by), passed
		case isolated:
			return DenyImplicit, isolating, passed
		}
		passed = append(passed, unite(by)...)
	}
	return Allow, nil, passed
}

// precedence of the entries of a term.
func (t Term) precedence() uint32 { return t.Rank<<8 | t.Action.kind() }

func (t Term) matches(subject Subject, peer Peer, packet Packet, options Options) bool {
	named := subject.NamedPorts
	if packet.Direction == Egress {
		named = peer.NamedPorts
	}
	if t.AnyPeer || peer.Number != 0 && slices.ContainsFunc(t.Peers, func(s identity.Selector) bool {
		return s.For(subject.Labels).Matches(peer.Labels)
	}) {
		return t.covers(named, packet)
	}
	if packet.Direction == Egress {
		named = nil // an address has no named ports
	}
	return slices.ContainsFunc(t.Blocks, func(b Block) bool { return options.Chooses(b, peer) }) && t.covers(named, packet)
}

func (t Term) covers(named NamedPorts, packet Packet) bool {
	for _, p := range t.Ports {
		for _, resolved := range p.Resolve(named, nil) {
			if resolved.Covers(packet.Protocol, packet.Port) {
				return true
			}
		}
	}
	return false
}

// Lookup does what the kernel does with a set: the entry of the view in force; if that lets the packet pass and the view
// as meant does not, its entry, with verdict Audit. False if there is none, which no result of Entries lets happen.
func Lookup(entries []Entry, ranges []Range, peer identity.Number, address netip.Addr, packet Packet) (Entry, bool) {
	best, found := LookupView(InForce, entries, ranges, peer, address, packet)
	if !found || best.Verdict.Denies() {
		return best, found
	}
	if meant, ok := LookupView(AsMeant, entries, ranges, peer, address, packet); ok && meant.Verdict.Denies() {
		meant.Verdict = Audit
		return meant, true
	}
	return best, found
}

// LookupView asks a view's tiers one after the other. In each: the longest prefix among the entries of the peer, among
// those of the class of its address, and among those of any peer; of these the one with the highest precedence, the peer's
// own first when equal, then that of the class. False if the set has no such view.
func LookupView(view View, entries []Entry, ranges []Range, peer identity.Number, address netip.Addr, packet Packet) (Entry, bool) {
	others := []identity.Number{0}
	if class := ClassOf(ranges, PlaceOf(peer), address); class != 0 {
		others = []identity.Number{class, 0}
	}
	for _, tier := range tiers {
		l := layer{view, tier, packet.Direction}
		best, found := longest(entries, l, peer, packet)
		for _, other := range others {
			if e, ok := longest(entries, l, other, packet); ok && (!found || e.Precedence > best.Precedence) {
				best, found = e, true
			}
		}
		if found && best.Verdict != Pass {
			return best, true
		}
	}
	return Entry{}, false
}

// ClassOf is the class of an address: what the longest range says; 0 if no block chooses it.
func ClassOf(ranges []Range, at Place, address netip.Addr) (class identity.Number) {
	bits := -1
	for _, r := range ranges {
		if r.Place == at && r.Prefix.Bits() > bits && r.Prefix.Contains(address) {
			bits, class = r.Prefix.Bits(), r.Class
		}
	}
	return class
}

func longest(entries []Entry, l layer, peer identity.Number, packet Packet) (Entry, bool) {
	best, length := Entry{}, -1
	for _, e := range entries {
		if (layer{e.View, e.Tier, e.Direction}) != l || e.Peer != peer {
			continue
		}
		bits := int(e.PortBits)
		if e.Protocol != 0 {
			bits += 8
		}
		if e.span().Matches(packet.Protocol, packet.Port) && bits > length {
			best, length = e, bits
		}
	}
	return best, length >= 0
}
