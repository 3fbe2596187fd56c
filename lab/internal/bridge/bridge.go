// Package bridge is the plainest pod network there is: on each node the standard CNI plugins bridge, host-local and portmap, and on
// every node and the machine a route to each node's pods. It enforces no policy. It is what Weftnet is measured against, and what
// shows that a fault lies in the lab when it also appears here.
package bridge

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"weftnet.io/weftnet/lab/internal/namespace"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Config is a node's CNI configuration list for its pod ranges.
func Config(podCIDRs []netip.Prefix) ([]byte, error) {
	type dst struct {
		Dst string `json:"dst"`
	}
	type subnet struct {
		Subnet string `json:"subnet"`
	}
	var ranges [][]subnet
	var routes []dst
	for _, p := range podCIDRs {
		ranges = append(ranges, []subnet{{p.String()}})
		if p.Addr().Is4() {
			routes = append(routes, dst{"0.0.0.0/0"})
		} else {
			routes = append(routes, dst{"::/0"})
		}
	}
	return json.MarshalIndent(map[string]any{
		"cniVersion": "1.0.0",
		"name":       "bridge",
		"plugins": []any{
			map[string]any{
				"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
				"ipam": map[string]any{"type": "host-local", "ranges": ranges, "routes": routes},
			},
			map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
}

// Node is a host with the pod ranges Kubernetes gave it. Root is its root directory as seen from the machine.
type Node struct {
	topology.Host
	Root     string
	PodCIDRs []netip.Prefix
}

// Install sets the network up on all nodes. plugins is the folder with the plugin binaries. The configuration appears last and in
// one piece: from that moment on the runtime calls it ready.
func Install(nodes []Node, plugins string) error {
	for _, n := range nodes {
		if err := routes(n, nodes); err != nil {
			return fmt.Errorf("bridge network on %s: %w", n.Name, err)
		}
		if err := install(n, plugins); err != nil {
			return fmt.Errorf("bridge network on %s: %w", n.Name, err)
		}
	}
	return nil
}

func install(n Node, plugins string) error {
	entries, err := os.ReadDir(plugins)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(plugins, e.Name()))
		if err != nil {
			return err
		}
		if err := replace(filepath.Join(n.Root, "opt/cni/bin", e.Name()), b, 0o755); err != nil {
			return err
		}
	}
	b, err := Config(n.PodCIDRs)
	if err != nil {
		return err
	}
	return replace(filepath.Join(n.Root, "etc/cni/net.d/10-bridge.conflist"), b, 0o644)
}

func replace(path string, content []byte, perm os.FileMode) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(tmp, content, perm); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// routes makes n's pods reachable from the machine and from the other nodes.
func routes(n Node, nodes []Node) error {
	for _, cidr := range n.PodCIDRs {
		gw, ok := sameFamily(n.IPs(), cidr)
		if !ok {
			return fmt.Errorf("no node address of the family of %s", cidr)
		}
		if err := namespace.RouteVia("", cidr, gw); err != nil {
			return err
		}
		for _, other := range nodes {
			if other.Name == n.Name {
				continue
			}
			if err := namespace.RouteVia(other.Namespace, cidr, gw); err != nil {
				return err
			}
		}
	}
	return nil
}

func sameFamily(addrs []netip.Addr, p netip.Prefix) (netip.Addr, bool) {
	for _, a := range addrs {
		if a.Is4() == p.Addr().Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}
