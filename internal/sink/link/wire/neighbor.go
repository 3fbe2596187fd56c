package wire

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Claim is what a frame of ARP or neighbour discovery says of an address.
type Claim struct {
	Address netip.Addr
	MAC     net.HardwareAddr // that says so
	Asks    bool             // it only asks whether the address is free, as who wants it does
}

// Probe is a frame that asks whether an address is taken, as one who has none yet: ARP with sender 0.0.0.0 (RFC 5227 2.1.1), or a neighbour
// solicitation from :: (RFC 4862 5.4.2).
func Probe(from net.HardwareAddr, a netip.Addr) []byte {
	if a.Is4() {
		return arp(from, netip.IPv4Unspecified(), a)
	}
	return solicitation(from, a)
}

// Announcement is a frame that tells all of an IPv4 address (RFC 5227 2.3).
func Announcement(from net.HardwareAddr, a netip.Addr) []byte { return arp(from, a, a) }

func arp(from net.HardwareAddr, sender, target netip.Addr) []byte {
	b := make([]byte, ethernet+28)
	copy(b, Broadcast)
	copy(b[6:], from)
	binary.BigEndian.PutUint16(b[12:], ARP)
	copy(b[ethernet:], []byte{0, 1, 8, 0, 6, 4, 0, 1}) // Ethernet, IPv4, their lengths, request
	copy(b[ethernet+8:], from)
	copy(b[ethernet+14:], sender.AsSlice())
	copy(b[ethernet+24:], target.AsSlice())
	return b
}

const (
	ip6      = 40
	solicits = 135 // ICMPv6 types
	tells    = 136
)

func solicitation(from net.HardwareAddr, target netip.Addr) []byte {
	const icmp = 24
	t := target.As16()
	group := netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}) // RFC 4291 2.7.1
	g := group.As16()
	b := make([]byte, ethernet+ip6+icmp)
	copy(b, []byte{0x33, 0x33, g[12], g[13], g[14], g[15]})
	copy(b[6:], from)
	binary.BigEndian.PutUint16(b[12:], IPv6)
	h := b[ethernet:]
	h[0], h[6], h[7] = 0x60, unix.IPPROTO_ICMPV6, 255
	binary.BigEndian.PutUint16(h[4:], icmp)
	copy(h[24:], g[:])
	m := h[ip6:]
	m[0] = solicits
	copy(m[8:], t[:])
	pseudo := uint32(sum(0, h[8:ip6])) + icmp + unix.IPPROTO_ICMPV6
	binary.BigEndian.PutUint16(m[2:], ^sum(pseudo, m))
	return b
}

// AllNodes is the group that answers to who has no address yet go to.
var AllNodes = net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}

// ReadClaim reads what a frame says of an address; not ok: nothing.
func ReadClaim(frame []byte) (c Claim, ok bool) {
	if len(frame) < ethernet {
		return c, false
	}
	c.MAC = net.HardwareAddr(frame[6:12])
	b := frame[ethernet:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case ARP:
		if len(b) < 28 || [6]byte(b[:6]) != [6]byte{0, 1, 8, 0, 6, 4} {
			return c, false
		}
		c.MAC, c.Address = net.HardwareAddr(b[8:14]), netip.AddrFrom4([4]byte(b[14:18]))
		if c.Address == netip.IPv4Unspecified() {
			c.Address, c.Asks = netip.AddrFrom4([4]byte(b[24:28])), true
		}
		return c, true
	case IPv6:
		if len(b) < ip6+24 || b[0]>>4 != 6 || b[6] != unix.IPPROTO_ICMPV6 || b[7] != 255 {
			return c, false
		}
		m := b[ip6:]
		c.Address = netip.AddrFrom16([16]byte(m[8:24]))
		c.Asks = m[0] == solicits && netip.AddrFrom16([16]byte(b[8:24])).IsUnspecified()
		return c, m[0] == tells || c.Asks
	}
	return c, false
}
