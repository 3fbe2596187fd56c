package policy

import (
	"slices"

	"weftnet.io/weftnet/internal/identity"
)

// Peer is the other end of a connection. One that no identity is known for has Number 0; no selector chooses it.
type Peer struct {
	Number     identity.Number
	Labels     identity.Labels
	NamedPorts NamedPorts
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
			if t.matches(subject, peer, packet) {
				origin.Path = t.Path
				denies = append(denies, origin)
			}
		}
		for _, t := range allow {
			if t.matches(subject, peer, packet) {
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
		allowed = allowed || fromHost.matches(subject, peer, packet)
	}
	if isolated && !allowed {
		return DenyImplicit, by
	}
	return Allow, unite(allows)
}

func (t Term) matches(subject Subject, peer Peer, packet Packet) bool {
	chosen := t.AnyPeer || peer.Number != 0 && slices.ContainsFunc(t.Peers, func(s Selector) bool {
		return s.For(subject.Labels).Matches(peer.Labels)
	})
	if !chosen {
		return false
	}
	named := subject.NamedPorts
	if packet.Direction == Egress {
		named = peer.NamedPorts
	}
	for _, p := range t.Ports {
		for _, resolved := range p.resolve(named, nil) {
			if resolved.covers(packet.Protocol, packet.Port) {
				return true
			}
		}
	}
	return false
}

// Lookup does what the kernel does with a set's entries: the longest prefix among those of the peer, the longest among
// those of any peer, and of the two the one with the higher precedence, the peer's own when equal. False if there is
// neither, which no result of Entries lets happen.
func Lookup(entries []Entry, peer identity.Number, packet Packet) (Entry, bool) {
	own, found := longest(entries, peer, packet)
	anyone, foundAny := longest(entries, 0, packet)
	if !found || foundAny && anyone.Precedence > own.Precedence {
		return anyone, foundAny
	}
	return own, true
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
