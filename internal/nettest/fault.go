package nettest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/internal/sink/route"
)

// Configure changes keys of the node's configuration. The next agent has them.
func (n *Node) Configure(settings map[string]string) {
	merged := maps.Clone(n.settings)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, settings)
	n.settings = merged
}

// StartMortal starts an agent that is killed before its n-th step, a system call that changes something. It does not wait
// for the agent.
func (n *Node) StartMortal(steps uint64) error {
	r := n.role()
	r.Steps = steps
	return n.launch(r)
}

// Die lets the agent be killed before its n-th step from now on.
func (n *Node) Die(ctx context.Context, steps uint64) error {
	_, err := n.ask(ctx, process.Request{Ask: "die", Steps: steps})
	return err
}

// Over closes when the agent has ended. Without one it is closed already.
func (n *Node) Over() <-chan struct{} {
	if r := n.life(); r != nil {
		return r.over
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Dump is all that follows from the facts of the node, without numbers that depend on how it came to it: see package
// process.
func (n *Node) Dump(ctx context.Context) (string, error) {
	m, err := n.ask(ctx, process.Request{Ask: "dump"})
	return m.Text, err
}

// Wipe takes everything out of the kernel that agents have put there, as a restart of the machine does: devices, routes,
// pinned programs and maps. The journal stays. The agent must not run.
func (n *Node) Wipe() error {
	if n.running() {
		return fmt.Errorf("wipe node %s: its agent runs", n.Name)
	}
	err := n.Do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("list devices: %w", err)
		}
		for _, l := range links {
			if name := l.Attrs().Name; attach.IsHostName(name) || name == attach.TunnelDevice {
				if err := netlink.LinkDel(l); err != nil {
					return fmt.Errorf("delete device %s: %w", name, err)
				}
			}
		}
		return errors.Join(unroute(netlink.FAMILY_V4), unroute(netlink.FAMILY_V6), os.RemoveAll(process.PinDir))
	})
	if err != nil {
		return fmt.Errorf("wipe node %s: %w", n.Name, err)
	}
	return nil
}

// unroute deletes the agent's routes of a family.
func unroute(family int) error {
	routes, err := netlink.RouteList(nil, family)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Priority == route.Metric {
			if err := netlink.RouteDel(&r); err != nil {
				return fmt.Errorf("delete route %s: %w", r, err)
			}
		}
	}
	return nil
}
