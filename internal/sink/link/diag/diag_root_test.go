package diag_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/kerneltest"
	"weftnet.io/weftnet/internal/lb/orphan"
	"weftnet.io/weftnet/internal/sink/link/diag"
)

// inside is a namespace whose loopback device has what servers of a test need.
func inside(t *testing.T) ns.NetNS {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("makes network namespaces: run it as root")
	}
	n, err := testutils.NewNS()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := diag.End(n.Path(), []orphan.Socket{{}}); errors.Is(err, diag.ErrUnsupported) {
		kerneltest.Needs(t, kerneltest.Destroy, false)
	}
	t.Cleanup(func() { n.Close(); testutils.UnmountNS(n) })
	err = n.Do(func(ns.NetNS) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// socket is a connected one, as the kernel knows it.
func socket(t *testing.T, n ns.NetNS, network, to string) (net.Conn, orphan.Socket) {
	t.Helper()
	var c net.Conn
	err := n.Do(func(ns.NetNS) (err error) { c, err = net.Dial(network, to); return err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	s := orphan.Socket{Backend: orphan.Backend{At: netip.MustParseAddrPort(to), Protocol: unix.IPPROTO_UDP}}
	if network[:3] == "tcp" {
		s.Backend.Protocol = unix.IPPROTO_TCP
	}
	if e := raw.Control(func(fd uintptr) { s.Cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return c, s
}

// serve listens for TCP and UDP.
func serve(t *testing.T, n ns.NetNS, at string) {
	t.Helper()
	err := n.Do(func(ns.NetNS) error {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		u, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close(); u.Close() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ended tells whether a process that uses the socket hears of its end.
func ended(t *testing.T, c net.Conn) bool {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if e := raw.Control(func(fd uintptr) { number, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if number != 0 && number != int(unix.ECONNABORTED) {
		t.Errorf("a process sees %v", unix.Errno(number))
	}
	return number != 0
}

func TestOnlyTheSocketsOfTheBackendThatWereLedThereAreEnded(t *testing.T) {
	n := inside(t)
	for _, at := range []string{"127.0.0.1:80", "127.0.0.2:80", "127.0.0.1:81", "[::1]:80"} {
		serve(t, n, at)
	}
	type is struct {
		conn  net.Conn
		knows orphan.Socket
		wants bool
	}
	sockets := map[string]is{}
	add := func(name, network, to string, wants bool) orphan.Socket {
		c, s := socket(t, n, network, to)
		sockets[name] = is{c, s, wants}
		return s
	}
	gone := []orphan.Socket{
		add("led", "udp", "127.0.0.1:80", true),
		add("led by IPv6", "udp", "[::1]:80", true),
		add("led by TCP", "tcp", "127.0.0.1:80", true),
		add("led by TCP and IPv6", "tcp", "[::1]:80", true),
	}
	add("of another address", "udp", "127.0.0.2:80", false)
	add("of another port", "udp", "127.0.0.1:81", false)
	add("that called the address itself", "udp", "127.0.0.1:80", false)
	add("that called the address itself by TCP", "tcp", "127.0.0.1:80", false)
	moved := add("that is elsewhere by now", "udp", "127.0.0.2:80", false)
	moved.Backend = gone[0].Backend
	other := add("of another protocol", "tcp", "127.0.0.1:81", false)
	other.Backend = orphan.Backend{At: netip.MustParseAddrPort("127.0.0.1:81"), Protocol: unix.IPPROTO_UDP}
	gone = append(gone, moved, other)

	if got, err := diag.End("", gone); got != 0 || err != nil {
		t.Errorf("in another namespace %d are ended, %v", got, err)
	}
	got, err := diag.End(n.Path(), gone)
	if got != 4 || err != nil {
		t.Errorf("%d are ended, %v", got, err)
	}
	for name, s := range sockets {
		if have := ended(t, s.conn); have != s.wants {
			t.Errorf("the socket %s is ended: %v", name, have)
		}
	}
	if got, err := diag.End(n.Path(), gone); got != 0 || err != nil {
		t.Errorf("once more %d are ended, %v", got, err)
	}
}

func TestAnIPv6SocketThatSpeaksIPv4IsEnded(t *testing.T) {
	n := inside(t)
	serve(t, n, "127.0.0.1:80")
	var fd int
	var cookie uint64
	err := n.Do(func(ns.NetNS) (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		mapped := netip.MustParseAddr("::ffff:127.0.0.1").As16()
		if err := unix.Connect(fd, &unix.SockaddrInet6{Addr: mapped, Port: 80}); err != nil {
			return err
		}
		cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	led := orphan.Socket{Cookie: cookie, Backend: orphan.Backend{At: netip.MustParseAddrPort("127.0.0.1:80"), Protocol: unix.IPPROTO_UDP}}
	if got, err := diag.End(n.Path(), []orphan.Socket{led}); got != 1 || err != nil {
		t.Errorf("%d are ended, %v", got, err)
	}
}

func TestManyBackendsAreLookedForAtOnce(t *testing.T) {
	n := inside(t)
	var gone []orphan.Socket
	for port := range uint16(700) {
		for _, a := range []string{"127.0.0.1", "::1"} {
			gone = append(gone, orphan.Socket{Cookie: 1, Backend: orphan.Backend{At: netip.AddrPortFrom(netip.MustParseAddr(a), 1000+port), Protocol: unix.IPPROTO_UDP}})
		}
	}
	var conns []net.Conn
	for _, to := range []string{"127.0.0.1:1000", "127.0.0.1:1699", "[::1]:1300", "[::1]:1001"} {
		c, s := socket(t, n, "udp", to)
		gone, conns = append(gone, s), append(conns, c)
	}
	if got, err := diag.End(n.Path(), gone); got != len(conns) || err != nil {
		t.Errorf("%d are ended, %v", got, err)
	}
}

func TestANamespaceThatIsGoneIsNoError(t *testing.T) {
	if _, err := diag.End(t.TempDir()+"/gone", nil); err != nil {
		t.Error(err)
	}
}
