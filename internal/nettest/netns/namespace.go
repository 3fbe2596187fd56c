// Package netns is network namespaces that one can dial from and to: nodes, pods and machines of a test, with servers that tell
// which caller they saw, dials, pings, and raw frames.
//
// # The world it models
//
// Linux keeps a namespace per thread, Go moves goroutines between threads. So whatever enters a namespace does so on a
// thread of its own, which ends with it; sockets stay where they were opened, and are used from anywhere.
//
// # Invariants
//
//   - A namespace is held by an open file of this process, and has no name that outlives it.
//   - A dial tells silence (ErrSilence: packets are dropped) from refusal (a host answered).
//
// # Example
//
//	web, err := netns.New("web")
//	err = web.Serve(80)
//	answer, err := client.Dial(ctx, "tcp", netip.AddrPortFrom(web.Addresses[0], 80), 0) // "web saw 10.0.0.5"
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace, held by an open file. Those of machines have file systems and a control group of their own, too.
type Namespace struct {
	Name  string
	net   *os.File
	mount *os.File // nil: that of this process
	group *group   // nil: that of this process
	owner bool     // the group goes with it
}

// isolated runs f on a fresh thread, which ends with it: whatever f does to its thread concerns no other.
func isolated(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

// NewNamespace makes a namespace with its loopback up. That of a machine has a BPF file system of its own at /sys/fs/bpf, and a control
// group of its own, which stands where control groups are mounted.
func NewNamespace(name string, machine bool) (*Namespace, error) {
	n := &Namespace{Name: name, owner: machine}
	if machine {
		var err error
		if n.group, err = newGroup(name); err != nil {
			return nil, err
		}
	}
	return n.open()
}

// Inside makes a namespace of a container of this machine: what it starts is in this one's control group.
func (n *Namespace) Inside(name string) (*Namespace, error) {
	return (&Namespace{Name: name, group: n.group}).open()
}

func (n *Namespace) open() (*Namespace, error) {
	err := isolated(func() (err error) {
		flags := unix.CLONE_NEWNET
		if n.owner {
			flags |= unix.CLONE_NEWNS | unix.CLONE_FS
		}
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("unshare: %w (are you root?)", err)
		}
		task := fmt.Sprintf("/proc/self/task/%d/ns/", unix.Gettid())
		if n.owner {
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("keep mounts to itself: %w", err)
			}
			if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700"); err != nil {
				return fmt.Errorf("mount a BPF file system: %w", err)
			}
			if err := n.group.show(); err != nil {
				return err
			}
			if n.mount, err = os.Open(task + "mnt"); err != nil {
				return err
			}
		}
		if n.net, err = os.Open(task + "net"); err != nil {
			return err
		}
		// A TCP whose packets are dropped is not to give up before a script does. Behind netkit it may at once: it hears of the
		// drop, and takes what never left for what left when the machine started.
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_retries2", []byte("255"), 0); err != nil {
			return fmt.Errorf("make TCP patient: %w", err)
		}
		return up("lo")
	})
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("make network namespace %s: %w", n.Name, err)
	}
	return n, nil
}

// Fd is the open file of the network namespace.
func (n *Namespace) Fd() int { return int(n.net.Fd()) }

// Path names the network namespace for other processes, as long as this one lives.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.net.Fd()) }

// Close lets go of it. It ends when no process is inside and no socket of it is open.
func (n *Namespace) Close() {
	for _, f := range []*os.File{n.net, n.mount} {
		if f != nil {
			f.Close()
		}
	}
	if n.owner {
		if err := n.group.close(); err != nil {
			fmt.Fprintln(os.Stderr, "remove the control group of", n.Name+":", err)
		}
	}
}

// Do runs f inside. Sockets that it opens stay inside.
func (n *Namespace) Do(f func() error) error {
	return isolated(func() error {
		if n.group != nil {
			if err := n.group.enter(); err != nil {
				return err
			}
		}
		if n.mount != nil {
			if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(n.mount.Fd()), unix.CLONE_NEWNS)); err != nil {
				return fmt.Errorf("enter file systems of %s: %w", n.Name, err)
			}
		}
		if err := unix.Setns(int(n.net.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.Name, err)
		}
		return f()
	})
}

// Start starts a program inside.
func (n *Namespace) Start(c *exec.Cmd) error { return n.Do(c.Start) }

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// Assign gives a device addresses that work at once, and sets it up.
func Assign(name string, addrs ...netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	for _, p := range addrs {
		a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrReplace(l, a); err != nil {
			return fmt.Errorf("give %s to %s: %w", p, name, err)
		}
	}
	return nil
}

// RouteVia makes the default routes of the namespace that the caller is in.
func RouteVia(gateways ...netip.Addr) error {
	for _, g := range gateways {
		zero := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if g.Is4() {
			zero = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		if err := netlink.RouteReplace(&netlink.Route{Dst: ipNet(zero), Gw: g.AsSlice()}); err != nil {
			return fmt.Errorf("set default route by %s: %w", g, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Sysctl sets parameters of the network namespace that the caller is in.
func Sysctl(names ...string) error {
	for _, n := range names {
		if err := os.WriteFile("/proc/sys/net/"+n, []byte("1"), 0); err != nil {
			return fmt.Errorf("set net/%s: %w", n, err)
		}
	}
	return nil
}

// Datagrams is the network of a UDP socket that is not connected: each message names its receiver.
const Datagrams = "datagrams"

// dial connects from inside, from a port, which others may call from, too; 0: any.
func (n *Namespace) dial(ctx context.Context, network string, port int, address string) (conn net.Conn, err error) {
	if network == Datagrams {
		return n.unconnected(port, address)
	}
	dialer := net.Dialer{}
	if port != 0 {
		dialer.Control = shared
	}
	switch {
	case port == 0:
	case network == "udp":
		dialer.LocalAddr = &net.UDPAddr{Port: port}
	default:
		dialer.LocalAddr = &net.TCPAddr{Port: port}
	}
	err = n.Do(func() error {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// unconnected opens a socket for messages to an address.
func (n *Namespace) unconnected(port int, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	c := &unconnected{to: to}
	err = n.Do(func() (err error) {
		c.UDPConn, err = net.ListenUDP("udp", &net.UDPAddr{Port: port})
		return err
	})
	return c, err
}

// unconnected is a UDP socket that speaks with one address and hears from any.
type unconnected struct {
	*net.UDPConn
	to   netip.AddrPort
	from netip.AddrPort // who has sent the last message
}

func (c *unconnected) Write(b []byte) (int, error) { return c.WriteToUDPAddrPort(b, c.to) }

func (c *unconnected) Read(b []byte) (n int, err error) {
	n, c.from, err = c.ReadFromUDPAddrPort(b)
	return n, err
}

func (c *unconnected) RemoteAddr() net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from.Addr().Unmap(), c.from.Port()))
}

// shared lets sockets have one port, if they call different addresses.
func shared(_, _ string, c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}); e != nil {
		return e
	}
	return err
}
