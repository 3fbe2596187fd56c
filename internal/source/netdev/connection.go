package netdev

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Connections tells of the connections that this node has, as its sockets and its netfilter know them; of some twice. A
// kernel that cannot tell of some is no error as long as it tells of others.
func Connections(yield func(protocol uint8, from, to netip.AddrPort)) error {
	var errs []error
	found := false
	add := func(protocol uint8, from, to netip.AddrPort) {
		if from.Addr().IsValid() && to.Addr().IsValid() && from.Port() != 0 && to.Port() != 0 && !from.Addr().IsLoopback() {
			found = true
			yield(protocol, from, to)
		}
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for protocol, ask := range map[uint8]func(uint8) ([]*netlink.Socket, error){unix.IPPROTO_TCP: netlink.SocketDiagTCP, unix.IPPROTO_UDP: netlink.SocketDiagUDP} {
			sockets, err := ask(family)
			errs = append(errs, err)
			for _, s := range sockets {
				add(protocol, end(s.ID.Source, s.ID.SourcePort), end(s.ID.Destination, s.ID.DestinationPort))
			}
		}
		flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, netlink.InetFamily(family))
		errs = append(errs, err)
		for _, f := range flows {
			// As its packets look where they enter from the network, and where its answers leave to it.
			for _, t := range []netlink.IPTuple{f.Forward, f.Reverse} {
				add(t.Protocol, end(t.SrcIP, t.SrcPort), end(t.DstIP, t.DstPort))
			}
		}
	}
	if err := errors.Join(errs...); err != nil && !found {
		return fmt.Errorf("list the connections of this node: %w", err)
	}
	return nil
}

func end(ip []byte, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}
