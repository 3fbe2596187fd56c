// Package inside changes what is in a workload's network namespace beside a device: which NIC has the default routes, and by which NIC
// answers leave.
//
// # The world it models
//
// A workload with several NICs has one default route per family. It leads over the first NIC, unless another was asked to have it. What is
// sent from the address of a further NIC in the pod network leaves by that NIC, since it may leave by no other:
//
//	rule 1000  from 10.244.1.9  lookup 30004
//	30004      default via 169.254.1.1 dev net1 onlink
//
// # Invariants
//
//   - Everything may be repeated, and nothing fails because it is there, or gone, already.
//   - Tables are numbered by the NIC's index in its namespace, rules have one priority: others are left alone.
//
// # Example
//
//	err := inside.Answer("/var/run/netns/c1", "net1", addresses)
package inside

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
)

const (
	priority = 1000  // of rules
	tables   = 30000 // number of a NIC's table, less its index
)

// Do enters a network namespace with a netlink socket of it.
func Do(netns string, do func(*netlink.Handle) error) error {
	there, err := ns.GetNS(netns)
	if err != nil {
		return fmt.Errorf("enter the workload's network namespace %s: %w", netns, err)
	}
	defer there.Close()
	return there.Do(func(ns.NetNS) error { return Here(do) })
}

// Here lends a netlink socket of the thread's own network namespace.
func Here(do func(*netlink.Handle) error) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer h.Close()
	return do(h)
}

// Answer lets what is sent from these addresses leave by a NIC, through the workload's gateways. It runs in the workload's namespace.
func Answer(h *netlink.Handle, name string, addresses []netip.Addr) error {
	d, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	table := tables + d.Attrs().Index
	for _, a := range addresses {
		rule := netlink.NewRule()
		rule.Priority, rule.Table, rule.Src, rule.Family = priority, table, network(attach.Single(a)), family(a)
		if err := h.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("let answers of %s leave by %s: add a rule: %w", a, name, err)
		}
		route := &netlink.Route{LinkIndex: d.Attrs().Index, Table: table, Dst: everything(a), Gw: attach.Gateway(a).AsSlice(), Flags: unix.RTNH_F_ONLINK}
		if err := h.RouteReplace(route); err != nil {
			return fmt.Errorf("let answers of %s leave by %s: add a route: %w", a, name, err)
		}
	}
	return nil
}

// Forget removes the rules of addresses; their routes have gone with the NIC.
func Forget(h *netlink.Handle, addresses []netip.Addr) error {
	for _, a := range addresses {
		rule := netlink.NewRule()
		rule.Priority, rule.Src, rule.Family = priority, network(attach.Single(a)), family(a)
		if err := h.RuleDel(rule); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove the rule for %s: %w", a, err)
		}
	}
	return nil
}

// Lead gives a NIC the default route of a family: the others lose theirs.
func Lead(h *netlink.Handle, name string, gateway netip.Addr) error {
	d, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	routes, err := defaults(h, gateway)
	if err != nil {
		return err
	}
	want := &netlink.Route{LinkIndex: d.Attrs().Index, Dst: everything(gateway), Gw: gateway.AsSlice()}
	for _, r := range routes {
		if r.LinkIndex == want.LinkIndex && r.Gw.Equal(want.Gw) {
			continue
		}
		if err := h.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove the default route via %s: %w", r.Gw, err)
		}
	}
	if err := h.RouteReplace(want); err != nil {
		return fmt.Errorf("lead the default route over %s, via %s: %w (is the gateway in a subnet of the NIC?)", name, gateway, err)
	}
	return nil
}

// Restore gives the first NIC the default route of a family back, if there is none.
func Restore(h *netlink.Handle, first string, of netip.Addr) error {
	routes, err := defaults(h, of)
	if err != nil || len(routes) > 0 {
		return err
	}
	d, err := h.LinkByName(first)
	if err != nil {
		return fmt.Errorf("find %s: %w", first, err)
	}
	back := &netlink.Route{LinkIndex: d.Attrs().Index, Dst: everything(of), Gw: attach.Gateway(of).AsSlice(), Flags: unix.RTNH_F_ONLINK}
	if err := h.RouteAdd(back); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("give %s its default route back: %w", first, err)
	}
	return nil
}

// defaults are the default routes of a family, in the main table.
func defaults(h *netlink.Handle, of netip.Addr) (out []netlink.Route, err error) {
	routes, err := h.RouteListFiltered(family(of), &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if ones := 0; r.Dst != nil {
			if ones, _ = r.Dst.Mask.Size(); ones > 0 {
				continue
			}
		}
		out = append(out, r)
	}
	return out, nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

func everything(a netip.Addr) *net.IPNet { return network(netip.PrefixFrom(a, 0).Masked()) }

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Describe is the index, the MAC address and the MTU of a NIC.
func Describe(h *netlink.Handle, name string) (index int, mac string, mtu int, err error) {
	d, err := h.LinkByName(name)
	if err != nil {
		return 0, "", 0, fmt.Errorf("find %s: %w", name, err)
	}
	return d.Attrs().Index, d.Attrs().HardwareAddr.String(), d.Attrs().MTU, nil
}
