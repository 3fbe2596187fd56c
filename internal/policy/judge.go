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

// Judge says what the rules say of a packet, and which rules: the deny terms that match it, else the allow terms that
// do, else the rules that isolate the subject. It reads rules as people do, one after the other; the kernel's entries
// mean the same.
func Judge(rules []Rule, subject Subject, peer Peer, packet Packet, options Options) (Verdict, []Origin) {
	if options.Enforcement == EnforceNever {
		return Allow, nil
	}
	var allows, denies []Origin
	allowed := false
	for _, r := range rules {
		if !r.Subject.Matches(subject.Labels) {
			continue
		}
		allow, deny := r.Ingress, r.IngressDeny
		if packet.Direction == Egress {
			allow, deny = r.Egress, r.EgressDeny
		}
		origin := r.Origin
		for _, t := range deny {
			if t.matches(subject, peer, packet, options) {
				origin.Path = t.Path
				denies = append(denies, origin)
			}
		}
		for _, t := range allow {
			if t.matches(subject, peer, packet, options) {
				origin.Path = t.Path
				allows = append(allows, origin)
				allowed = true
			}
		}
	}
	if len(denies) > 0 {
		return Deny, unite(denies)
	}
	isolated, by := isolation(rules, subject.Labels, packet.Direction, options)
	if isolated && hostPasses(subject.Labels, packet.Direction, options) {
		allowed = allowed || fromHost.matches(subject, peer, packet, options)
	}
	if isolated && !allowed {
		return DenyImplicit, by
	}
	return Allow, unite(allows)
}

func (t Term) matches(subject Subject, peer Peer, packet Packet, options Options) bool {
	named := subject.NamedPorts
	if packet.Direction == Egress {
		named = peer.NamedPorts
	}
	if t.AnyPeer || peer.Number != 0 && slices.ContainsFunc(t.Peers, func(s Selector) bool {
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
		for _, resolved := range p.resolve(named, nil) {
			if resolved.covers(packet.Protocol, packet.Port) {
				return true
			}
		}
	}
	return false
}

// Lookup does what the kernel does with a set: the longest prefix among the entries of the peer, among those of the class
// of its address, and among those of any peer; of these the one with the highest precedence, the peer's own first when
// equal, then that of the class. False if there is none, which no result of Entries lets happen.
func Lookup(entries []Entry, ranges []Range, peer identity.Number, address netip.Addr, packet Packet) (Entry, bool) {
	best, found := longest(entries, peer, packet)
	others := []identity.Number{0}
	if class := ClassOf(ranges, PlaceOf(peer), address); class != 0 {
		others = []identity.Number{class, 0}
	}
	for _, other := range others {
		if e, ok := longest(entries, other, packet); ok && (!found || e.Precedence > best.Precedence) {
			best, found = e, true
		}
	}
	return best, found
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

func longest(entries []Entry, peer identity.Number, packet Packet) (Entry, bool) {
	best, length := Entry{}, -1
	for _, e := range entries {
		if e.Direction != packet.Direction || e.Peer != peer {
			continue
		}
		at := prefix{e.Protocol, e.Port, e.PortBits}
		bits := int(e.PortBits)
		if e.Protocol != 0 {
			bits += 8
		}
		if at.matches(packet.Protocol, packet.Port) && bits > length {
			best, length = e, bits
		}
	}
	return best, length >= 0
}
