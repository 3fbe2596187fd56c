package peer

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/test/bench/load"
)

// Macvlan is two macvlan devices in mode bridge: on the device of one node, or across a wire on those of two.
func Macvlan(across bool) (*Peer, error) {
	list, err := namespaces("wire", "node0", "node1", "client", "server")
	if err != nil {
		return nil, err
	}
	wire, nodes, ends := list[0], list[1:3], list[3:]
	p := &Peer{Name: "bare macvlan", between: list[:3]}
	err = wire.Do(func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: new(bool)}); err != nil {
			return fmt.Errorf("make bridge: %w", err)
		}
		return netns.Assign("br0")
	})
	var stations [2]*netns.Station
	for i, end := range ends {
		if err == nil {
			err = plugIn(wire, nodes[i], i)
		}
		on := nodes[0]
		if across {
			on = nodes[i]
		}
		a := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(i + 10)}), 24)
		if err == nil {
			err = on.Do(func() error { return sibling(end) })
		}
		if err == nil {
			err = end.Do(func() error { return netns.Assign(netns.Port, a) })
		}
		stations[i] = netns.New(end.Name, end, a.Addr())
	}
	p.Way = load.Way{Client: stations[0], Server: stations[1]}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// sibling makes a macvlan device on eth0, as eth0 of another namespace.
func sibling(there *netns.Namespace) error {
	parent, err := netlink.LinkByName(netns.Port)
	if err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.ParentIndex, attributes.Namespace = netns.Port, parent.Attrs().Index, netlink.NsFd(there.Fd())
	if err := netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attributes, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
		return fmt.Errorf("make macvlan device: %w", err)
	}
	return nil
}
