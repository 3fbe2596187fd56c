package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/place"
)

// peer is one way to connect two namespaces, and what was measured of it, a value per round.
type peer struct {
	name           string
	client, server *place.Place
	hub            *place.Namespace // what lies between them, if anything
	throughput     []float64        // Gbit/s
	transactions   []float64        // per second
}

func (p *peer) measure(d time.Duration) error {
	bits, err := stream(p.client, p.server, d)
	if err != nil {
		return err
	}
	n, err := pingPong(p.client, p.server, d)
	p.throughput, p.transactions = append(p.throughput, bits/1e9), append(p.transactions, n)
	return err
}

// newPeers makes all peers in the order in which they are measured. Weftnet comes twice.
func newPeers(ctx context.Context, dir string, cniPath []string) (peers []*peer, c *nettest.Cluster, err error) {
	if c, err = nettest.New(dir); err != nil {
		return nil, nil, err
	}
	var pods []*place.Place
	for _, name := range []string{"a", "b"} {
		n, err := c.AddNode(name, nil)
		if err != nil {
			return nil, c, err
		}
		for i := range 2 {
			p, err := n.AddPod(ctx, nettest.PodSpec{Name: fmt.Sprint(name, i), Labels: map[string]string{"app": name}})
			if err != nil {
				return nil, c, err
			}
			pods = append(pods, p.Place)
		}
	}
	weft := &peer{name: nameWeftnet, client: pods[0], server: pods[1]}
	pair, err := newPair()
	if err != nil {
		return nil, c, err
	}
	bridge, err := newBridge()
	if err != nil {
		return nil, c, err
	}
	peers = []*peer{weft, pair, bridge}
	plugin, err := newPlugin(dir, cniPath)
	if err != nil {
		return nil, c, err
	}
	if plugin != nil {
		peers = append(peers, plugin)
	}
	return append(peers, &peer{name: nameAgain, client: pods[0], server: pods[1]}), c, nil
}

const (
	nameWeftnet = "Weftnet"
	nameVeth    = "bare veth pair"
	nameAgain   = "Weftnet, measured again"
)

// ends are two empty namespaces.
func ends() (list [2]*place.Namespace, err error) {
	for i := range list {
		if list[i], err = place.NewNamespace(fmt.Sprint("end", i), false); err != nil {
			return list, err
		}
	}
	return list, nil
}

func address(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 10)}), 24)
}

// places gives the ends their addresses.
func places(name string, at [2]*place.Namespace) (*peer, error) {
	var list [2]*place.Place
	for i, ns := range at {
		if err := ns.Do(func() error { return place.Assign(place.Port, address(i)) }); err != nil {
			return nil, err
		}
		list[i] = place.New(ns.Name, ns, address(i).Addr())
	}
	return &peer{name: name, client: list[0], server: list[1]}, nil
}

func newPair() (*peer, error) {
	at, err := ends()
	if err != nil {
		return nil, err
	}
	err = at[0].Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: place.Port}, PeerName: place.Port, PeerNamespace: netlink.NsFd(at[1].Fd()),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("make veth pair: %w", err)
	}
	return places(nameVeth, at)
}

func newBridge() (*peer, error) {
	hub, err := place.NewNamespace("hub", false)
	if err != nil {
		return nil, err
	}
	at, err := ends()
	if err != nil {
		return nil, err
	}
	err = hub.Do(func() error {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := netlink.LinkAdd(br); err != nil {
			return fmt.Errorf("make bridge: %w", err)
		}
		for i, ns := range at {
			v := &netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("veth", i), MasterIndex: br.Index}, PeerName: place.Port,
				PeerNamespace: netlink.NsFd(ns.Fd()),
			}
			if err := netlink.LinkAdd(v); err != nil {
				return fmt.Errorf("make veth pair: %w", err)
			}
			if err := place.Assign(v.Name); err != nil {
				return err
			}
		}
		return place.Assign("br0")
	})
	if err != nil {
		return nil, err
	}
	p, err := places("Linux bridge, two veth pairs", at)
	if err == nil {
		p.hub = hub
	}
	return p, err
}

// newPlugin attaches two namespaces by the bridge CNI plugin; nil if it is not there.
func newPlugin(dir string, path []string) (*peer, error) {
	binary := find(path, "bridge")
	if binary == "" || find(path, "host-local") == "" {
		return nil, nil
	}
	hub, err := place.NewNamespace("plugin", false)
	if err != nil {
		return nil, err
	}
	at, err := ends()
	if err != nil {
		return nil, err
	}
	var list [2]*place.Place
	for i, ns := range at {
		c := exec.Command(binary)
		c.Env = append(os.Environ(), "CNI_COMMAND=ADD", fmt.Sprint("CNI_CONTAINERID=c", i), "CNI_IFNAME="+place.Port,
			"CNI_NETNS="+ns.Path(), "CNI_PATH="+strings.Join(path, ":"))
		c.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion":"1.0.0","name":"bench","type":"bridge","bridge":"cni0","isGateway":true,
			"ipam":{"type":"host-local","subnet":"10.9.0.0/24","dataDir":%q}}`, filepath.Join(dir, "host-local")))
		var out strings.Builder
		c.Stdout, c.Stderr = &out, &out
		if err := hub.Start(c); err != nil {
			return nil, err
		}
		if err := c.Wait(); err != nil {
			return nil, fmt.Errorf("bridge plugin: %w: %s", err, out.String())
		}
		var result types100.Result
		if err := json.Unmarshal([]byte(out.String()), &result); err != nil || len(result.IPs) == 0 {
			return nil, fmt.Errorf("bridge plugin: %w: %s", err, out.String())
		}
		a, _ := netip.AddrFromSlice(result.IPs[0].Address.IP)
		list[i] = place.New(ns.Name, ns, a.Unmap())
	}
	return &peer{name: "bridge CNI plugin", client: list[0], server: list[1], hub: hub}, nil
}

func find(path []string, name string) string {
	for _, dir := range path {
		file := filepath.Join(dir, name)
		if s, err := os.Stat(file); err == nil && s.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}
