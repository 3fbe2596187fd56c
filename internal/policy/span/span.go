// Package span is about the ports that policies name, and cuts ranges of them into what the kernel can look up: prefixes, of
// which the longest that matches counts.
//
// A Port is such a range, or a name, which stands for the container ports of that name that a workload has. A Prefix is any protocol, one protocol, or the ports of one protocol that begin with the same bits: tcp/80-95 is port 80
// with 12 bits. A range of ports is the fewest of them, at most 30.
//
//	tcp/80-90  ->  tcp/80-87, tcp/88-89, tcp/90
//
// Invariants: of two prefixes one lies in the other, or they have nothing in common; Parent is the next around it.
package span

import (
	"fmt"
	"math/bits"
)

// Prefix is what an entry matches of (protocol, port). Of ICMP a port is type<<8 | code.
type Prefix struct {
	Protocol uint8 // IP protocol; 0: any, and the rest is zero
	Port     uint16
	Bits     uint8 // leading bits of Port that count
}

var names = map[uint8]string{ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPv6: "icmp6", SCTP: "sctp"}

// String is e.g. tcp/80-95, icmp/8, udp, any.
func (p Prefix) String() string {
	if p.Protocol == 0 {
		return "any"
	}
	protocol, ok := names[p.Protocol]
	if !ok {
		protocol = fmt.Sprint(p.Protocol)
	}
	last := p.Port | uint16(0xffff>>p.Bits)
	switch {
	case p.Bits == 0:
		return protocol
	case p.Protocol == ICMP || p.Protocol == ICMPv6:
		return fmt.Sprintf("%s/%d", protocol, p.Port>>8)
	case p.Port == last:
		return fmt.Sprintf("%s/%d", protocol, p.Port)
	default:
		return fmt.Sprintf("%s/%d-%d", protocol, p.Port, last)
	}
}

// Parent is the next shorter prefix: one bit of the port less, then any port, then any protocol.
func (p Prefix) Parent() (Prefix, bool) {
	switch {
	case p.Bits > 0:
		p.Bits--
		p.Port &= ^uint16(0xffff >> p.Bits)
		return p, true
	case p.Protocol != 0:
		return Prefix{}, true
	default:
		return Prefix{}, false
	}
}

// Matches tells whether a packet is under the prefix.
func (p Prefix) Matches(protocol uint8, port uint16) bool {
	return p.Protocol == 0 || p.Protocol == protocol && (p.Port^port)>>(16-p.Bits) == 0
}

// prefixes appends the fewest prefixes that make up a range of ports; protocol 0 is all packets.
func prefixes(protocol uint8, first, last uint16, out []Prefix) []Prefix {
	if protocol == 0 {
		return append(out, Prefix{})
	}
	for at := int(first); at <= int(last); {
		// The largest block that begins at this port and does not pass the last.
		size := bits.TrailingZeros32(uint32(at) | 1<<16)
		for at+1<<size-1 > int(last) {
			size--
		}
		out = append(out, Prefix{protocol, uint16(at), uint8(16 - size)})
		at += 1 << size
	}
	return out
}
