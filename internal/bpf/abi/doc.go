// Package abi is everything that kernel and agent share: map keys, map values, ring-buffer events, numbers.
//
// It is written by tools/abigen from the BTF of the headers in bpf/lib/abi, so a shape exists once, and their comments are its
// manual. Only this file is written by hand. Names follow C by one rule, without exceptions:
//
//	struct policy_key → PolicyKey    enum ipcache_flag → IpcacheFlag    VERDICT_DENY → VerdictDeny    src_port → SrcPort
//
// Each type has exactly the bytes that the kernel has (layout_test.go), has no hidden padding, and compares with ==.
// Integers are in host byte order; what is in network byte order has a type of its own that prints itself: Addr
// (16 bytes, IPv4 mapped) and BePort. Enums begin at zero = none, except where a number of Cilium's is kept.
//
//	key := abi.IpcacheKey{Addr: abi.From(netip.MustParseAddr("10.0.0.5"))}
//	key := abi.ServiceKey{Addr: abi.From(vip), Port: abi.Port(443), Protocol: 6}
package abi

//go:generate go run weftnet.io/weftnet/tools/abigen -headers ../../../bpf/lib/abi -include ../../../bpf/include -out .

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Addr is C's struct addr: an IPv6 address in network byte order, or an IPv4 address in its mapped form
// ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). All zero means "no address", which is why the unspecified IPv6 address
// has no Addr of its own.
type Addr [16]byte

// From converts an address; a zone is dropped, and the zero netip.Addr gives the zero Addr.
func From(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return a.As16()
}

// IP converts back: an IPv4 address comes out as such, the zero Addr as the zero netip.Addr.
func (a Addr) IP() netip.Addr {
	if a == (Addr{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(a).Unmap()
}

// String is the address in the usual notation, "-" for none.
func (a Addr) String() string {
	if a == (Addr{}) {
		return "-"
	}
	return a.IP().String()
}

// BePort is C's __be16: a port (or ICMP type and code, type first) in network byte order.
type BePort [2]byte

// Port converts a port number.
func Port(number uint16) BePort {
	var p BePort
	binary.BigEndian.PutUint16(p[:], number)
	return p
}

// Number converts back.
func (p BePort) Number() uint16 { return binary.BigEndian.Uint16(p[:]) }

// String is the number in decimal.
func (p BePort) String() string { return strconv.Itoa(int(p.Number())) }
