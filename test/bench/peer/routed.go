package peer

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/test/bench/load"
)

// Routed is two nodes on a wire, with a workload each: routed by the kernel alone, by its VXLAN device if vxlan.
func Routed(vxlan bool) (*Peer, error) {
	list, err := namespaces("wire", "node0", "node1", "client", "server")
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: "plain routing", between: list[:3]}
	if vxlan {
		p.Name = "plain VXLAN"
	}
	wire, nodes, ends := list[0], list[1:3], list[3:]
	if err := wire.Do(func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, MulticastSnooping: new(bool)}); err != nil {
			return fmt.Errorf("make bridge: %w", err)
		}
		return netns.Assign("br0")
	}); err != nil {
		return nil, err
	}
	var stations [2]*netns.Station
	for i, node := range nodes {
		if err := plugIn(wire, node, i); err != nil {
			return nil, err
		}
		if stations[i], err = lodge(node, ends[i], i, vxlan); err != nil {
			return nil, err
		}
		if err := node.Do(func() error { return lead(i, vxlan) }); err != nil {
			return nil, err
		}
	}
	p.Way = load.Way{Client: stations[0], Server: stations[1]}
	return p, nil
}

// The plan of addresses: nodes 172.31.0.N, their ends of the tunnel 172.31.1.N, workloads 10.5.N.2.
func onWire(i int) netip.Prefix   { return v4(172, 31, 0, byte(i+1), 24) }
func inTunnel(i int) netip.Prefix { return v4(172, 31, 1, byte(i+1), 24) }
func gateway(i int) netip.Prefix  { return v4(10, 5, byte(i), 1, 24) }
func workload(i int) netip.Prefix { return v4(10, 5, byte(i), 2, 24) }

func v4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

// plugIn connects a node with the wire.
func plugIn(wire, node *netns.Namespace, i int) error {
	name := fmt.Sprint("node", i)
	if err := cable(wire, name, node); err != nil {
		return err
	}
	if err := wire.Do(func() error {
		br, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(l, br); err != nil {
			return err
		}
		return netns.Assign(name)
	}); err != nil {
		return err
	}
	return node.Do(func() error {
		if err := netns.Assign(netns.Port, onWire(i)); err != nil {
			return err
		}
		return netns.Sysctl("ipv4/ip_forward")
	})
}

// lodge connects a workload with its node.
func lodge(node, end *netns.Namespace, i int, vxlan bool) (*netns.Station, error) {
	if err := cable(node, "pod", end); err != nil {
		return nil, err
	}
	if err := node.Do(func() error { return netns.Assign("pod", gateway(i)) }); err != nil {
		return nil, err
	}
	return netns.New(end.Name, end, workload(i).Addr()), end.Do(func() error {
		if err := netns.Assign(netns.Port, workload(i)); err != nil {
			return err
		}
		if vxlan {
			l, err := netlink.LinkByName(netns.Port)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetMTU(l, tunnelMTU); err != nil {
				return err
			}
		}
		return netns.RouteVia(gateway(i).Addr())
	})
}

const tunnelMTU = 1450 // 1500 less the outer headers

// lead routes the other node's workloads; the caller is in the node.
func lead(i int, vxlan bool) error {
	via := onWire(1 - i).Addr()
	if vxlan {
		eth0, err := netlink.LinkByName(netns.Port)
		if err != nil {
			return err
		}
		v := &netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: "vxlan", MTU: tunnelMTU}, VxlanId: 42, Port: 4789, VtepDevIndex: eth0.Attrs().Index,
			SrcAddr: onWire(i).Addr().AsSlice(), Group: onWire(1 - i).Addr().AsSlice(),
		}
		if err := netlink.LinkAdd(v); err != nil {
			return fmt.Errorf("make VXLAN device: %w", err)
		}
		if err := netns.Assign(v.Name, inTunnel(i)); err != nil {
			return err
		}
		via = inTunnel(1 - i).Addr()
	}
	there := workload(1 - i).Masked()
	dst := &net.IPNet{IP: there.Addr().AsSlice(), Mask: net.CIDRMask(there.Bits(), 32)}
	if err := netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s: %w", there, err)
	}
	return nil
}
