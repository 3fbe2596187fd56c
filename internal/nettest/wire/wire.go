// Package wire connects namespaces that stand for nodes with each other, and with a machine beyond all of them.
//
// # The world it models
//
// A bridge is the link that all nodes are on; it is their router, too, towards the network of the outside machine. The
// n-th node has the addresses NodeAddresses(n), and PodPrefixes(n) for its pods. Package nettest has a drawing.
//
// # Invariants
//
//   - A node that is connected finds its neighbours at once: no address is on trial.
//   - Nothing outlives the process that made it.
//
// # Example
//
//	w, err := wire.New()
//	err = w.Connect(1, node) // 172.30.0.1, fd30::1
package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
)

// What the wire looks like; see package nettest.
var (
	router4, router6     = netip.MustParsePrefix("172.30.0.254/24"), netip.MustParsePrefix("fd30::fe/64")
	frontier4, frontier6 = netip.MustParsePrefix("192.0.2.254/24"), netip.MustParsePrefix("2001:db8::fe/64")
	outside4, outside6   = netip.MustParsePrefix("192.0.2.9/24"), netip.MustParsePrefix("2001:db8::9/64")
)

const (
	bridge   = "br0"
	frontier = "out0" // of the wire, towards outside
)

// Wire connects nodes with each other and with outside.
type Wire struct {
	*netns.Namespace
	Outside *netns.Station // a machine that is no node
}

// New lays the wire; no node is on it.
func New() (w *Wire, err error) {
	w = &Wire{}
	if w.Namespace, err = netns.NewNamespace("wire", false); err != nil {
		return nil, err
	}
	outside, err := netns.NewNamespace("outside", false)
	if err != nil {
		w.Namespace.Close()
		return nil, err
	}
	w.Outside = netns.New("outside", outside, outside4.Addr(), outside6.Addr())
	err = w.Do(func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, MulticastSnooping: new(bool)}); err != nil {
			return fmt.Errorf("make bridge: %w", err)
		}
		if err := netns.Assign(bridge, router4, router6); err != nil {
			return err
		}
		if err := cable(frontier, outside); err != nil {
			return err
		}
		if err := netns.Assign(frontier, frontier4, frontier6); err != nil {
			return err
		}
		return netns.Sysctl("ipv4/ip_forward", "ipv6/conf/all/forwarding")
	})
	if err == nil {
		err = outside.Do(func() error {
			if err := netns.Assign(netns.Port, outside4, outside6); err != nil {
				return err
			}
			return netns.RouteVia(frontier4.Addr(), frontier6.Addr())
		})
	}
	if err != nil {
		w.Close()
		return nil, fmt.Errorf("lay the wire: %w", err)
	}
	return w, nil
}

// Close lets go of it.
func (w *Wire) Close() {
	w.Namespace.Close()
	w.Outside.Close()
}

// Connect plugs a node in, with the n-th addresses.
func (w *Wire) Connect(n int, node *netns.Namespace) error {
	name := fmt.Sprintf("node%d", n)
	err := node.Do(func() error {
		// Else its first link-local address would be on trial for a second or two, and no neighbour would be found meanwhile.
		return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	})
	if err != nil {
		return fmt.Errorf("switch off duplicate address detection on node %s: %w", node.Name, err)
	}
	err = w.Do(func() error {
		if err := cable(name, node); err != nil {
			return err
		}
		br, err := netlink.LinkByName(bridge)
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
		return netlink.LinkSetUp(l)
	})
	if err == nil {
		err = node.Do(func() error {
			a4, a6 := NodeAddresses(n)
			if err := netns.Assign(netns.Port, netip.PrefixFrom(a4, 24), netip.PrefixFrom(a6, 64)); err != nil {
				return err
			}
			return netns.RouteVia(router4.Addr(), router6.Addr())
		})
	}
	if err != nil {
		return fmt.Errorf("connect node %s: %w", node.Name, err)
	}
	return nil
}

// Uplink gives nodes a further device of a name, all on one switch of that name.
func (w *Wire) Uplink(device string, nodes ...*netns.Namespace) error {
	return w.Do(func() error {
		sw := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "sw-" + device}, MulticastSnooping: new(bool)}
		if err := netlink.LinkAdd(sw); err != nil {
			return fmt.Errorf("make a switch: %w", err)
		}
		if err := netlink.LinkSetUp(sw); err != nil {
			return err
		}
		for _, node := range nodes {
			port := netlink.NewVeth(netlink.LinkAttrs{Name: node.Name + "-" + device, MasterIndex: sw.Index})
			port.PeerName, port.PeerNamespace = device, netlink.NsFd(node.Fd())
			if err := netlink.LinkAdd(port); err != nil {
				return fmt.Errorf("connect node %s: %w", node.Name, err)
			}
			err := errors.Join(netlink.LinkSetUp(port), node.Do(func() error {
				d, err := netlink.LinkByName(device)
				if err != nil {
					return err
				}
				return netlink.LinkSetUp(d)
			}))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Narrow lets only packets of up to mtu bytes pass between the wire and outside.
func (w *Wire) Narrow(mtu int) error {
	for ns, name := range map[*netns.Namespace]string{w.Namespace: frontier, w.Outside.Namespace: netns.Port} {
		if err := ns.Do(func() error {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(l, mtu)
		}); err != nil {
			return fmt.Errorf("set MTU of %s: %w", name, err)
		}
	}
	return nil
}

// Advertise has the router send what is for pods of the n-th node there: without it no machine outside knows where a pod is.
func (w *Wire) Advertise(n int) error {
	v4, v6 := PodPrefixes(n)
	via4, via6 := NodeAddresses(n)
	return w.Do(func() error {
		for prefix, via := range map[netip.Prefix]netip.Addr{v4: via4, v6: via6} {
			to := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
			if err := netlink.RouteReplace(&netlink.Route{Dst: to, Gw: via.AsSlice()}); err != nil {
				return fmt.Errorf("route %s via %s: %w", prefix, via, err)
			}
		}
		return nil
	})
}

// cable makes a pair of devices: name here, eth0 there.
func cable(name string, there *netns.Namespace) error {
	attributes := netlink.NewLinkAttrs() // with a queue as long as others have: kernels mend one without when tc comes to it
	attributes.Name = name
	v := &netlink.Veth{LinkAttrs: attributes, PeerName: netns.Port, PeerNamespace: netlink.NsFd(there.Fd()), PeerTxQLen: -1}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	return nil
}

// NodeAddresses are those of the n-th node on the wire.
func NodeAddresses(n int) (v4, v6 netip.Addr) {
	return netip.AddrFrom4([4]byte{172, 30, 0, byte(n)}), netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x30, 15: byte(n)})
}

// PodPrefixes are those of the pods of the n-th node.
func PodPrefixes(n int) (v4, v6 netip.Prefix) {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(n), 0}), 24),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x00, 0x02, 0x44, 7: byte(n)}), 64)
}
