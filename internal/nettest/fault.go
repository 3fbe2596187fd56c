package nettest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/nettest/netns"
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
			if name := l.Attrs().Name; attach.IsHostName(name) || name == attach.TunnelDevice || name == attach.GeneveDevice {
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

// TinyDisk moves what the node keeps on disk to a file system of its own that holds little.
func (n *Node) TinyDisk() error {
	before := n.dir + "/before"
	err := n.Do(func() error {
		return errors.Join(os.Rename(n.stateDir(), before), os.Mkdir(n.stateDir(), 0o700),
			unix.Mount("tmpfs", n.stateDir(), "tmpfs", 0, "size=64k,mode=0700"), os.CopyFS(n.stateDir(), os.DirFS(before)))
	})
	if err != nil {
		return fmt.Errorf("make a tiny disk on node %s: %w", n.Name, err)
	}
	return nil
}

// FillDisk leaves no room for the node's journal; free gives it back.
func (n *Node) FillDisk(free bool) error {
	return n.Do(func() error {
		filler := n.stateDir() + "/filler"
		if free {
			return os.Remove(filler)
		}
		f, err := os.Create(filler)
		if err != nil {
			return err
		}
		defer f.Close()
		for err == nil {
			_, err = f.Write(make([]byte, os.Getpagesize()))
		}
		if !errors.Is(err, unix.ENOSPC) {
			return err
		}
		return nil
	})
}

// Reboot is a restart of the machine: the agent, all containers and all that is in the kernel end; what is on disk stays. No
// agent is started.
func (n *Node) Reboot() error {
	n.Kill()
	if err := n.Wipe(); err != nil {
		return err
	}
	n.boots++
	id := fmt.Sprintf("%s/boot-%d", n.dir, n.boots)
	if err := os.WriteFile(id, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", n.boots), 0o600); err != nil {
		return err
	}
	err := n.Do(func() error { return unix.Mount(id, "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, "") })
	if err != nil {
		return fmt.Errorf("restart node %s: %w", n.Name, err)
	}
	for _, p := range n.Pods() {
		p.Close()
	}
	return nil
}

// Recreate gives the pod a new container, as a kubelet does after the machine was restarted: another network namespace,
// not attached yet. former is the DEL that a runtime makes for the container before.
func (p *Pod) Recreate() (former func() error, err error) {
	ns, err := p.node.Inside(p.Station.Name)
	if err != nil {
		return nil, err
	}
	old := *p
	c := p.node.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	c.uid++
	p.Station, p.container = netns.New(p.Station.Name, ns), fmt.Sprintf("%s-%d", p.PodSpec.Name, c.uid)
	return func() error {
		_, err := old.run("DEL", "")
		return err
	}, nil
}

// serveAPI lets the node's agent reach an API server at a port of the node's own.
func (n *Node) serveAPI(handler http.Handler) (err error) {
	if n.api, err = n.ServeHTTP("127.0.0.1:6443", handler); err != nil {
		return err
	}
	n.Kubeconfig = n.dir + "/kubeconfig"
	const config = `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c"}}],
"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:6443"}}]}`
	return os.WriteFile(n.Kubeconfig, []byte(config), 0o600)
}

// Launch starts the agent and does not wait for it.
func (n *Node) Launch() error { return n.launch(n.role()) }
