package whereabouts

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// PoolName is the name of the IPPool of a subnet. node is that of a node slice; empty: there are none.
func PoolName(network, node string, subnet netip.Prefix) string {
	return strings.Join(words(network, node, plainName(subnet.String())), "-")
}

// ReservationName is the name of an address's OverlappingRangeIPReservation.
func ReservationName(network string, a netip.Addr) string {
	return strings.Join(words(network, plainName(a.String())), "-")
}

func words(all ...string) (out []string) {
	for _, w := range all {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// plainName makes an address or a subnet part of an object's name.
func plainName(text string) string {
	if strings.HasSuffix(text, ":") {
		text += "0"
	}
	return strings.NewReplacer(":", "-", "/", "-").Replace(text)
}

// Offset is how an address stands in the pool of a subnet: its distance from the subnet's first address.
func Offset(subnet netip.Prefix, a netip.Addr) string {
	return strconv.FormatUint(low(a)-low(subnet.Masked().Addr()), 10)
}

// At is the address that a pool's entry stands for; false: none of the subnet.
func At(subnet netip.Prefix, offset string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(offset, 10, 63)
	if err != nil {
		return netip.Addr{}, false
	}
	first := subnet.Masked().Addr()
	var a netip.Addr
	if first.Is4() {
		b := first.As4()
		sum := uint64(binary.BigEndian.Uint32(b[:])) + n
		if sum > 1<<32-1 {
			return netip.Addr{}, false
		}
		binary.BigEndian.PutUint32(b[:], uint32(sum))
		a = netip.AddrFrom4(b)
	} else {
		b := first.As16()
		binary.BigEndian.PutUint64(b[8:], binary.BigEndian.Uint64(b[8:])+n)
		a = netip.AddrFrom16(b)
	}
	return a, subnet.Contains(a)
}

// low is the lower half of an address. Distances within a range that is given out from fit in it.
func low(a netip.Addr) uint64 {
	b := a.As16()
	return binary.BigEndian.Uint64(b[8:])
}
