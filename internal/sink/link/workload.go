package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/rtnetlink"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/table"
)

// configureWorkload configures the workload's side, and gives the index of the host's. It runs on a thread that is inside the workload's
// network namespace.
func (l *Links) configureWorkload(want table.Link) (host int, err error) {
	s, err := rtnetlink.Open()
	if err != nil {
		return 0, err
	}
	defer s.Close()
	d, settings, err := s.DeviceAndSettings(want.Interface)
	if err != nil {
		return 0, fmt.Errorf("find device just made: %w", err)
	}
	hostMAC, err := net.ParseMAC(want.HostMAC)
	if err != nil {
		return 0, fmt.Errorf("MAC address of the host's side: %w", err)
	}
	if slices.ContainsFunc(want.Addresses, netip.Addr.Is6) {
		if err := apply(l.Proc, scopeWorkload, want.Interface, settings); err != nil {
			return 0, err
		}
	}
	index := d.Index
	var before, after []rtnetlink.Change
	for _, a := range want.Addresses {
		before = append(before, rtnetlink.Address(index, a))
		after = append(after, rtnetlink.Neighbour(index, want.Interface, attach.Gateway(a), hostMAC))
		if !want.Further {
			after = append(after, routes(index, a)...)
		}
	}
	for _, p := range want.Subnets {
		after = append(after, toSubnet(index, p))
	}
	err = s.Make(slices.Concat(before, []rtnetlink.Change{rtnetlink.Up(index, want.Interface)}, after)...)
	if err != nil || !want.Further {
		return d.Peer, err
	}
	return d.Peer, inside.Here(func(h *netlink.Handle) error { return inside.Answer(h, want.Interface, want.Addresses) })
}

// routes are what a workload needs for an address of its: the way to the gateway, which is in no subnet of it, and through
// the gateway to everything else. A workload's first interface has the default route; this may be a further one.
func routes(index int, a netip.Addr) (list []rtnetlink.Change) {
	gateway, flags := attach.Gateway(a), uint32(0)
	if a.Is6() {
		flags = unix.RTNH_F_ONLINK
	} else {
		list = append(list, rtnetlink.Route(index, attach.Single(gateway), unix.RT_SCOPE_LINK, 0))
	}
	everything := rtnetlink.Route(index, netip.PrefixFrom(a, 0).Masked(), unix.RT_SCOPE_UNIVERSE, flags, nl.NewRtAttr(unix.RTA_GATEWAY, gateway.AsSlice()))
	everything.Exists = true
	return append(list, everything)
}

// toSubnet is the route to a subnet of an overlay network. A workload may be in two with the same: of these the NIC that was made first has it for
// what is sent from no address in particular.
func toSubnet(index int, p netip.Prefix) rtnetlink.Change {
	gateway := nl.NewRtAttr(unix.RTA_GATEWAY, attach.Gateway(p.Addr()).AsSlice())
	metric := nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(uint32(metrics+index)))
	return rtnetlink.Route(index, p, unix.RT_SCOPE_UNIVERSE, unix.RTNH_F_ONLINK, gateway, metric)
}

// metrics of routes to subnets, less the NIC's index: what a person puts beside them without a metric comes first.
const metrics = 2000

// Check compares all of a link with what was made, its inside too: what a CNI CHECK asks for. All that differs is in the
// error.
func (l *Links) Check(_ context.Context, want table.Link) error {
	var d rtnetlink.Device
	exists := false
	err := l.with(func(h hand) (err error) { d, exists, err = find(h, want.HostName); return err })
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("device %s is gone", want.HostName)
	}
	have, mine := ours(d)
	if !mine {
		return taken(d)
	}
	var errs []error
	if !l.Equal(want, have) {
		errs = append(errs, fmt.Errorf("device %s has MAC %s, MTU %d, incarnation %d (MTU 0: it is down), not %s, %d, %d",
			want.HostName, have.HostMAC, have.MTU, have.Incarnation, want.HostMAC, want.MTU, want.Incarnation))
	}
	there, err := ns.GetNS(l.Root + want.Netns)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("network namespace %s: %w", want.Netns, err))...)
	}
	defer there.Close()
	return errors.Join(append(errs, there.Do(func(ns.NetNS) error {
		return inside.Here(func(h *netlink.Handle) error { return compare(h, want, d.Peer) })
	}))...)
}

// compare looks at the workload's side, from inside its network namespace.
func compare(h *netlink.Handle, want table.Link, index int) error {
	d, err := h.LinkByName(want.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w", want.Interface, err)
	}
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	a := d.Attrs()
	if a.Index != index {
		complain("%s is not the other side of %s", want.Interface, want.HostName)
	}
	if a.HardwareAddr.String() != want.MAC {
		complain("%s has MAC %s, not %s", want.Interface, a.HardwareAddr, want.MAC)
	}
	if a.Flags&net.FlagUp == 0 {
		complain("%s is down", want.Interface)
	}
	addresses, err := whole(func() ([]netlink.Addr, error) { return h.AddrList(d, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	routes, err := whole(func() ([]netlink.Route, error) { return h.RouteList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, x := range want.Addresses {
		if !slices.ContainsFunc(addresses, func(have netlink.Addr) bool { return have.IPNet.String() == attach.Single(x).String() }) {
			complain("address %s is not on %s", attach.Single(x), want.Interface)
		}
		if !want.Further && !slices.ContainsFunc(routes, func(have netlink.Route) bool {
			return isDefault(have) && (have.Gw.Equal(attach.Gateway(x).AsSlice()) || have.LinkIndex != index && len(have.Gw) > 0) // another NIC may have been asked to have it
		}) {
			complain("there is no default route via %s", attach.Gateway(x))
		}
	}
	for _, p := range want.Subnets {
		if !slices.ContainsFunc(routes, func(have netlink.Route) bool {
			return have.LinkIndex == index && have.Dst != nil && have.Dst.String() == p.String()
		}) {
			complain("there is no route to %s by %s", p, want.Interface)
		}
	}
	return errors.Join(errs...)
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}
