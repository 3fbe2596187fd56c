// Package namespace makes the machine's side of the lab network (one bridge, one network namespace and one cable per host) and
// lets a goroutine act inside namespaces.
//
// Linux keeps namespaces per thread, Go moves goroutines between threads. So whatever enters a namespace here does so on a thread of
// its own that is never given back to the scheduler: it ends with the work.
package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/lab/internal/topology"
)

// Dir holds the files that name network namespaces. It is not that of `ip netns`: other tools mount things over it.
const Dir = "/run/weftlab"

// isolated runs f on a fresh thread and throws the thread away.
func isolated(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

// Create makes a named network namespace with its loopback up.
func Create(name string) error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	path := filepath.Join(Dir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	f.Close()
	err = isolated(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		return unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), path, "", unix.MS_BIND, "")
	})
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	return nil
}

// InNetwork runs f inside the network namespace that the file path names. Threads f starts are not inside.
func InNetwork(path string, f func() error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	return isolated(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return f()
	})
}

// InProcess runs f with all namespaces of a process. Programs that f starts are inside, in the process's pid namespace too; f must
// start them on the calling goroutine. f's file names mean files of that process.
func InProcess(pid int, f func() error) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("enter namespaces of process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	return isolated(func() error {
		// A thread that shares its working directory with others may not change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		const all = unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNS
		if err := unix.Setns(fd, all); err != nil {
			return fmt.Errorf("enter namespaces of process %d: %w", pid, err)
		}
		return f()
	})
}

// EnsureBridge makes the segment's bridge with the machine's addresses.
func EnsureBridge(name string, addrs []netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if isNotFound(err) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return fmt.Errorf("create bridge %s: %w", name, err)
		}
		link, err = netlink.LinkByName(name)
	}
	if err != nil {
		return fmt.Errorf("create bridge %s: %w", name, err)
	}
	if err := assign(link, addrs); err != nil {
		return fmt.Errorf("create bridge %s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

func assign(link netlink.Link, addrs []netip.Prefix) error {
	for _, p := range addrs {
		// Without duplicate address detection the address is usable at once.
		a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrReplace(link, a); err != nil {
			return fmt.Errorf("assign %s: %w", p, err)
		}
	}
	return nil
}

// Connect runs a cable from the bridge to eth0 of a host, and gives eth0 its addresses and, unless via is empty, default routes.
func Connect(h topology.Host, bridge string, via []netip.Prefix) error {
	if err := connect(h, bridge, via); err != nil {
		return fmt.Errorf("connect %s to %s: %w", h.Name, bridge, err)
	}
	return nil
}

func connect(h topology.Host, bridge string, via []netip.Prefix) error {
	if err := plug(h, bridge, h.Veth, "eth0"); err != nil {
		return err
	}
	return InNetwork(filepath.Join(Dir, h.Namespace), func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := assign(eth, h.Addrs); err != nil {
			return err
		}
		for _, gw := range via {
			if err := Route(eth.Attrs().Index, netip.PrefixFrom(zero(gw.Addr()), 0), gw.Addr()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Uplink gives a host a further device, without addresses, and makes its segment if there is none.
func Uplink(h topology.Host, u topology.Uplink) error {
	err := EnsureBridge(u.Bridge, nil)
	if err == nil {
		err = plug(h, u.Bridge, u.Veth, u.Device)
	}
	if err != nil {
		return fmt.Errorf("give %s its device %s: %w", h.Name, u.Device, err)
	}
	return nil
}

// plug runs a cable from a bridge to a device of a host. Both ends are up then.
func plug(h topology.Host, bridge, cable, device string) error {
	br, err := netlink.LinkByName(bridge)
	if err != nil {
		return err
	}
	path := filepath.Join(Dir, h.Namespace)
	ns, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = cable, br.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: device, PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return err
	}
	return InNetwork(path, func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}

// RouteVia routes dst through a neighbour inside a named namespace; the empty name is the caller's.
func RouteVia(ns string, dst netip.Prefix, gw netip.Addr) error {
	if ns == "" {
		return Route(0, dst, gw)
	}
	return InNetwork(filepath.Join(Dir, ns), func() error { return Route(0, dst, gw) })
}

// Route adds or replaces a route in the caller's namespace. link 0 leaves the device to the kernel.
func Route(link int, dst netip.Prefix, gw netip.Addr) error {
	r := &netlink.Route{LinkIndex: link, Dst: ipNet(dst.Masked()), Gw: net.IP(gw.AsSlice())}
	if err := netlink.RouteReplace(r); err != nil {
		return fmt.Errorf("route %s via %s: %w", dst, gw, err)
	}
	return nil
}

func zero(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func isNotFound(err error) bool {
	var nf netlink.LinkNotFoundError
	return errors.As(err, &nf)
}

// Leftovers lists links and namespaces on the machine that carry the lab's names.
func Leftovers() (links, namespaces []string, err error) {
	all, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, fmt.Errorf("list links: %w", err)
	}
	for _, l := range all {
		if n := l.Attrs().Name; n == topology.Bridge || strings.HasPrefix(n, topology.Prefix) {
			links = append(links, n)
		}
	}
	entries, err := os.ReadDir(Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list network namespaces: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), topology.Prefix) {
			namespaces = append(namespaces, e.Name())
		}
	}
	return links, namespaces, nil
}

// Clean removes all that Leftovers lists. Addresses and routes go with their links.
func Clean() error {
	links, namespaces, err := Leftovers()
	if err != nil {
		return err
	}
	for _, n := range links {
		l, err := netlink.LinkByName(n)
		if isNotFound(err) {
			continue
		}
		if err == nil {
			err = netlink.LinkDel(l)
		}
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("delete link %s: %w", n, err)
		}
	}
	for _, n := range namespaces {
		path := filepath.Join(Dir, n)
		// A crash can leave the file without its mount (EINVAL), or, after a retry, two mounts on it.
		for {
			err := unix.Unmount(path, unix.MNT_DETACH)
			if err == unix.EINVAL || err == unix.ENOENT {
				break
			}
			if err != nil {
				return fmt.Errorf("unmount %s: %w", path, err)
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete network namespace %s: %w", n, err)
		}
	}
	_ = os.Remove(Dir) // if it is empty now; it stays when others use it
	return nil
}
