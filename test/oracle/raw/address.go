package raw

import (
	"net/netip"
	"slices"
	"strings"
)

// InsideAny tells whether an address is in one of some prefixes.
func InsideAny(prefixes []string, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return Inside(p, address) })
}

// Inside tells whether an address is in a prefix, or is the address that stands there. An IPv4 address is in no prefix of
// IPv6, but for those that are written as IPv4 in IPv6.
func Inside(prefix string, address netip.Addr) bool {
	if !strings.Contains(prefix, "/") {
		a, err := netip.ParseAddr(prefix)
		return err == nil && a.Unmap() == address
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil || !address.IsValid() {
		return false
	}
	if p.Addr().Is4In6() {
		return address.Is4() && p.Bits() >= 96 && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(address)
	}
	return p.Contains(address)
}
