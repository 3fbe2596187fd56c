package datapath

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/socket"
)

// caller is set for this program where it runs as a process that calls services.
const caller = "WEFT_TEST_CALLER"

func TestMain(m *testing.M) {
	if what := os.Getenv(caller); what != "" {
		if err := call(strings.Fields(what)); err != nil {
			fmt.Println(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// call runs in a network namespace of its own, where 192.0.2.1 and 2001:db8::1 are its own addresses. It says who has answered.
func call(args []string) error {
	if args[0] == "host" {
		_, err := net.Dial("tcp", args[1])
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	for _, own := range []string{"192.0.2.1/32", "2001:db8::1/128"} {
		a, err := netlink.ParseAddr(own)
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(lo, a); err != nil {
			return err
		}
	}
	for { // the kernel adds the local route of an IPv6 address when it likes
		local, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(local, func(r netlink.Route) bool { return r.Dst != nil && r.Dst.IP.String() == "2001:db8::1" }) {
			break
		}
	}
	network, to := args[0], args[1]
	if network == "again" {
		times, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return callAgainAndAgain(to, times)
	}
	if network == "tcp" {
		return callStream(to)
	}
	return callDatagrams(to, args[2] == "connected")
}

// patience is when a caller gives up.
func patience() time.Time { return time.Now().Add(20 * time.Second) }

func callStream(to string) error {
	for _, at := range []string{"192.0.2.1:8080", "[2001:db8::1]:8080"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, "from ", l.Addr())
				c.Close()
			}
		}()
	}
	c, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(patience())
	text, err := io.ReadAll(c)
	fmt.Printf("%s, peer %s\n", text, c.RemoteAddr())
	return err
}

func callDatagrams(to string, connected bool) error {
	for _, at := range []string{"192.0.2.1:8080", "[2001:db8::1]:8080"} {
		l, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		go func() {
			buffer := make([]byte, 100)
			for {
				_, from, err := l.ReadFrom(buffer)
				if err != nil {
					return
				}
				_, _ = l.WriteTo([]byte("from "+l.LocalAddr().String()), from)
			}
		}()
	}
	buffer := make([]byte, 100)
	if connected {
		c, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		_ = c.SetDeadline(patience())
		_, _ = c.Write([]byte("?"))
		n, err := c.Read(buffer)
		fmt.Printf("%s, peer %s\n", buffer[:n], c.RemoteAddr())
		return err
	}
	c, err := net.ListenPacket("udp", ":0")
	if err != nil {
		return err
	}
	target, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(patience())
	if _, err := c.WriteTo([]byte("?"), target); err != nil {
		return err
	}
	n, from, err := c.ReadFrom(buffer)
	fmt.Printf("%s, peer %s\n", buffer[:n], from)
	return err
}

// group is a control group of version 2 of its own.
func group(t testing.TB) string {
	t.Helper()
	root, _, err := socket.Find("")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, filepath.Base(t.TempDir())+fmt.Sprint(os.Getpid(), time.Now().UnixNano()))
	check(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// calls runs a process of a control group that calls, and gives what it says.
func calls(t testing.TB, group, what string) string {
	t.Helper()
	fd, err := unix.Open(group, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), caller+"="+what)
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	if !strings.HasPrefix(what, "host") {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	text, err := c.CombinedOutput()
	check(t, err)
	return strings.TrimSpace(string(text))
}

// serve writes a service of one backend.
func serve(t testing.TB, d *Datapath, id uint32, at, backend string, protocol uint8) {
	t.Helper()
	from := netip.MustParseAddrPort(at)
	key := abi.ServiceKey{Addr: abi.From(from.Addr()), Port: abi.Port(from.Port()), Protocol: protocol, Net: abi.NetPods}
	v := abi.Service{Id: id}
	if backend != "" {
		to := netip.MustParseAddrPort(backend)
		check(t, d.Map("backends").Put(id, abi.Backend{Addr: abi.From(to.Addr()), Port: abi.Port(to.Port()), Protocol: uint16(protocol), Id: id}))
		check(t, d.Map("slots").Put(abi.SlotKey{Service: id}, id))
		v.Count = 1
	}
	check(t, d.Map("services").Put(key, v))
}

func TestProcessesOfAControlGroupSpeakWithServices(t *testing.T) {
	dir := pinDirectory(t)
	d, err := Open(dir, Config{})
	check(t, err)
	t.Cleanup(d.Close)
	inside, outside := group(t), group(t)
	check(t, d.AttachSockets(inside))
	t.Cleanup(func() { check(t, d.DetachSockets()) })
	serve(t, d, 1, "10.96.0.10:80", "192.0.2.1:8080", unix.IPPROTO_TCP)
	serve(t, d, 2, "10.96.0.10:53", "192.0.2.1:8080", unix.IPPROTO_UDP)
	serve(t, d, 3, "[fd00:96::10]:80", "[2001:db8::1]:8080", unix.IPPROTO_TCP)
	serve(t, d, 4, "[fd00:96::10]:53", "[2001:db8::1]:8080", unix.IPPROTO_UDP)
	serve(t, d, 5, "10.96.0.11:80", "", unix.IPPROTO_TCP)
	serve(t, d, 6, "0.0.0.0:30080", "", unix.IPPROTO_TCP)
	for call, want := range map[string]string{
		"tcp 10.96.0.10:80":              "from 192.0.2.1:8080, peer 10.96.0.10:80",
		"tcp [fd00:96::10]:80":           "from [2001:db8::1]:8080, peer [fd00:96::10]:80",
		"udp 10.96.0.10:53 connected":    "from 192.0.2.1:8080, peer 10.96.0.10:53",
		"udp 10.96.0.10:53 not":          "from 192.0.2.1:8080, peer 10.96.0.10:53",
		"udp [fd00:96::10]:53 connected": "from [2001:db8::1]:8080, peer [fd00:96::10]:53",
		"udp [fd00:96::10]:53 not":       "from [2001:db8::1]:8080, peer [fd00:96::10]:53",
		"tcp 192.0.2.1:8080":             "from 192.0.2.1:8080, peer 192.0.2.1:8080",
		"tcp 10.96.0.11:80":              "dial tcp 10.96.0.11:80: connect: network is unreachable", // goes on as a packet, for from_pod
		"host 10.96.0.11:80":             "dial tcp 10.96.0.11:80: connect: connection refused",
		"host 127.0.0.1:30080":           "dial tcp 127.0.0.1:30080: connect: connection refused",
	} {
		if said := calls(t, inside, call); said != want {
			t.Errorf("%s: %s, want %s", call, said, want)
		}
	}
	if said := calls(t, outside, "tcp 10.96.0.10:80"); !strings.Contains(said, "network is unreachable") {
		t.Errorf("a process of another control group speaks with the service: %s", said)
	}
	t.Run("another configuration takes their places", func(t *testing.T) {
		check(t, d.Reload(Config{Silent: true}))
		state, err := d.Sockets()
		if check(t, err); state.Group == 0 || !state.Current {
			t.Errorf("%+v", state)
		}
		if said := calls(t, inside, "tcp 10.96.0.10:80"); !strings.HasPrefix(said, "from 192.0.2.1:8080") {
			t.Error(said)
		}
	})
	t.Run("another group", func(t *testing.T) {
		check(t, d.AttachSockets(outside))
		if said := calls(t, outside, "tcp 10.96.0.10:80"); !strings.HasPrefix(said, "from 192.0.2.1:8080") {
			t.Error(said)
		}
		if said := calls(t, inside, "tcp 10.96.0.10:80"); !strings.Contains(said, "network is unreachable") {
			t.Errorf("the former group is led on: %s", said)
		}
	})
}
