package lease

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/sink/link/conflict"
	"weftnet.io/weftnet/internal/sink/link/inside"
	"weftnet.io/weftnet/internal/sink/link/wire"
)

// protocol of routes that a DHCP server has named (rtnetlink(7): RTPROT_DHCP).
const protocol = unix.RTPROT_DHCP

// device is the NIC, by its index: the workload may have given it another name.
func (c *client) device(h *netlink.Handle) (netlink.Link, error) {
	d, err := h.LinkByIndex(c.order.Index)
	if err != nil {
		return nil, fmt.Errorf("find device %d of the pod, which was %s: %w", c.order.Index, c.order.Interface, err)
	}
	if mac := d.Attrs().HardwareAddr.String(); mac != c.order.MAC {
		return nil, fmt.Errorf("device %s of the pod has the MAC %s, and its lease is that of %s", d.Attrs().Name, mac, c.order.MAC)
	}
	return d, nil
}

// open opens a socket of the NIC, and sets it up.
func (c *client) open() (s *wire.Socket, err error) {
	path := c.keeper.Root + c.order.Netns
	err = inside.Do(path, func(h *netlink.Handle) error {
		d, err := c.device(h)
		if err != nil {
			return err
		}
		if err := h.LinkSetUp(d); err != nil {
			return fmt.Errorf("set %s up: %w", d.Attrs().Name, err)
		}
		s, err = wire.Open(c.order.Index, wire.IPv4, wire.ToPort(68))
		return err
	})
	return s, err
}

// probe asks on the wire whether another machine has an address, and gives its MAC address.
func (c *client) probe(a netip.Addr) (other net.HardwareAddr, err error) {
	there, err := ns.GetNS(c.keeper.Root + c.order.Netns)
	if err != nil {
		return nil, fmt.Errorf("enter the workload's network namespace: %w", err)
	}
	defer there.Close()
	err = there.Do(func(ns.NetNS) error {
		found, err := conflict.Probe(c.ctx, conflict.Device{Index: c.order.Index, MAC: c.mac}, []netip.Addr{a}, c.keeper.mode())
		if found != nil {
			other = found.MAC
		}
		return err
	})
	return other, err
}

// put gives the NIC an address in the place of another, and its routes.
func (c *client) put(was, held dhcp.Lease) error {
	return inside.Do(c.keeper.Root+c.order.Netns, func(h *netlink.Handle) error {
		d, err := c.device(h)
		if err != nil {
			return err
		}
		if was.Address.IsValid() && was.Address != held.Address {
			if err := drop(h, d, was.Address); err != nil {
				return err
			}
		}
		a := &netlink.Addr{IPNet: subnet(held.Address)}
		if !held.Until.IsZero() { // the kernel takes it off by itself, should no agent run then
			a.ValidLft = max(1, int(held.Until.Sub(now())/time.Second))
			a.PreferedLft = a.ValidLft
		}
		if err := h.AddrReplace(d, a); err != nil {
			return fmt.Errorf("give %s the address %s: %w", d.Attrs().Name, held.Address, err)
		}
		for _, r := range held.Routes {
			route := &netlink.Route{LinkIndex: c.order.Index, Dst: subnet(r.Destination), Gw: r.Gateway.AsSlice(), Protocol: protocol}
			if err := h.RouteAdd(route); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("give %s the route to %s via %s: %w", d.Attrs().Name, r.Destination, r.Gateway, err)
			}
		}
		if was.Address != held.Address {
			conflict.Announce(conflict.Device{Index: c.order.Index, MAC: c.mac}, []netip.Addr{held.Address.Addr()})
		}
		for _, gateway := range c.order.Gateways {
			if err := inside.Lead(h, d.Attrs().Name, gateway); err != nil {
				return err
			}
		}
		return nil
	})
}

// take takes an address off. The kernel takes its routes along.
func (c *client) take(was dhcp.Lease) error {
	return inside.Do(c.keeper.Root+c.order.Netns, func(h *netlink.Handle) error {
		d, err := c.device(h)
		if err != nil {
			return err
		}
		return drop(h, d, was.Address)
	})
}

func drop(h *netlink.Handle, d netlink.Link, a netip.Prefix) error {
	if err := h.AddrDel(d, &netlink.Addr{IPNet: subnet(a)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("take %s off %s: %w", a, d.Attrs().Name, err)
	}
	return nil
}

func subnet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
