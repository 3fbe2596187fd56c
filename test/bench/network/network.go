// Package network measures further NICs of pods: what an ADD with them takes beside the same plugins run by hand, what traffic by them costs
// beside the kernel's own macvlan, and how many addresses of one range agents give in a second.
//
// # The world it models
//
//	ADD      weft-cni, and the agent calls macvlan 1 or 4 times     beside weft-cni, and then macvlan 1 or 4 times by a shell
//	traffic  pod net1 -- ens192 -- pod, open; net2 -- ens224, closed but for what policy allows   beside two macvlan devices, of one node or two
//	claims   three agents that are killed at random, and an API server
//
// # Invariants
//
//   - The plugins are the same files with the same configuration, the agent's and those by hand.
//   - Each kind of NIC has an uplink of its own: one that is closed makes no other dearer.
//
// # Example
//
//	s, err := network.Adds(ctx, network.Bench{Rounds: 7, WeftCNI: "/tmp/weft-cni", …})
package network

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/report"
)

// Bench is what a measurement needs.
type Bench struct {
	peer.Tools
	Rounds     int
	Time       time.Duration // of one measurement of traffic
	WeftCNI    string        // the plugin
	Kubeconfig string        // of an API server that claims use besides one in memory; empty: none
	Node       func(name string, g *cgroup.Group) (*nettest.Cluster, *nettest.Node, error)
	Progress   func(format string, args ...any)

	group []string // cgroup.procs files of the control group that calls are made in
}

// plugins are those that the agent calls.
var plugins = []string{"macvlan", "static", "host-local"}

// lacking names a plugin that is not there; empty: all are.
func (b Bench) lacking() string {
	for _, name := range plugins {
		if b.Find(name) == "" {
			return name
		}
	}
	return ""
}

// unmeasured is a section that says why there is nothing.
func unmeasured(title, plugin string) report.Section {
	return report.Section{Title: title, Notes: []string{"Not measured: there is no CNI plugin " + plugin + " (make lab builds it)."}}
}

// install puts the plugins on a node, where its agent finds them.
func (b Bench) install(n *nettest.Node) error {
	if err := os.MkdirAll(n.Plugins(), 0o755); err != nil {
		return err
	}
	for _, name := range plugins {
		if err := os.Symlink(b.Find(name), filepath.Join(n.Plugins(), name)); err != nil {
			return err
		}
	}
	return nil
}

// group is a control group for a measurement's agent.
func group(name string) (*cgroup.Group, error) {
	g, err := cgroup.New("weft-bench-" + name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, nil
}
