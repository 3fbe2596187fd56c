// Package peer makes ways between two network namespaces that Weftnet is measured beside.
//
// # The world it models
//
//	Pair         client eth0 ---- eth0 server                        a veth pair, nothing else
//	Filtered     Pair, and rules of nftables where the server is
//	Bridged      client -- veth -- bridge -- veth -- server          as the bridge CNI plugin makes it, and kube-proxy's
//	             kube-proxy's rules in the node                      rules (iptables or nftables) for N services
//	Routed       client -- node ==== wire ==== node -- server        plain routing by the kernel, or its VXLAN device
//	Macvlan      client, server on a node's eth0                     macvlan devices in mode bridge, of one node or of two on a wire
//
// # Invariants
//
//   - Everything ends with this process: namespaces have no names, kube-proxy dies with its parent.
//
// # Example
//
//	pair, err := peer.Pair()
//	rate, err := load.Transactions(pair.Way, time.Second)
package peer

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/test/bench/load"
)

// Peer is a way between a client and a server.
type Peer struct {
	load.Way
	Name    string
	between []*netns.Namespace
	stop    []func()
}

// Close ends it.
func (p *Peer) Close() {
	for _, f := range p.stop {
		f()
	}
	for _, ns := range p.between {
		ns.Close()
	}
	for _, end := range []*netns.Station{p.Client, p.Server} {
		if end != nil {
			end.Close()
		}
	}
}

// namespaces makes some.
func namespaces(names ...string) (list []*netns.Namespace, err error) {
	for _, name := range names {
		ns, err := netns.NewNamespace(name, false)
		if err != nil {
			return nil, err
		}
		list = append(list, ns)
	}
	return list, nil
}

// Pair is a veth pair.
func Pair() (*Peer, error) {
	ends, err := namespaces("client", "server")
	if err != nil {
		return nil, err
	}
	p := &Peer{Name: "bare veth pair"}
	if err := cable(ends[0], netns.Port, ends[1]); err != nil {
		return nil, err
	}
	var stations [2]*netns.Station
	for i, ns := range ends {
		a := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 10)}), 24)
		if err := ns.Do(func() error { return netns.Assign(netns.Port, a) }); err != nil {
			return nil, err
		}
		stations[i] = netns.New(ns.Name, ns, a.Addr())
	}
	p.Client, p.Server = stations[0], stations[1]
	return p, nil
}

// Filtered is Pair with rules of nftables where the server is.
func Filtered(script string) (*Peer, error) {
	p, err := Pair()
	if err != nil {
		return nil, err
	}
	c := exec.Command("nft", "-f", "-")
	var out strings.Builder
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(script), &out, &out
	if err = p.Server.Namespace.Start(c); err == nil {
		err = c.Wait()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("nft: %w: %s", err, out.String())
	}
	return p, nil
}

// cable makes a pair of devices: name here, eth0 there.
func cable(here *netns.Namespace, name string, there *netns.Namespace) error {
	return here.Do(func() error {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: netns.Port, PeerNamespace: netlink.NsFd(there.Fd())}
		if err := netlink.LinkAdd(v); err != nil {
			return fmt.Errorf("make veth pair %s: %w", name, err)
		}
		return nil
	})
}
