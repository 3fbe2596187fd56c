package netdev_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/source/netdev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	const inside = "WEFT_TEST_NETNS"
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
		flag.Set("rapid.checks", "30") // each makes real devices
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil {
			fmt.Fprintln(os.Stderr, "make a network namespace:", err)
		}
		os.Exit(1)
	}
}

func ip(t testing.TB, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func batch(t testing.TB, lines ...string) {
	t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// follow starts a source and returns what waits until its table says what is wanted.
func follow(t testing.TB, prepare ...func(*netdev.Source) error) (tables *table.Tables, await func(what string, is func(r state.Reader) bool)) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("makes network devices: run it as root")
	}
	tables, db := table.New()
	s, err := netdev.New(tables.Devices, db, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prepare {
		if err := p(s); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() { over <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != context.Canceled {
			t.Errorf("Run ended with %v", err)
		}
	})
	return tables, func(what string, is func(r state.Reader) bool) {
		t.Helper()
		for {
			snap := db.Snapshot()
			changed := tables.Devices.WatchAll(snap)
			if is(snap) {
				return
			}
			select {
			case <-changed:
			case <-time.After(20 * time.Second):
				t.Fatalf("not seen: %s; there are %d devices", what, tables.Devices.Len(snap))
			}
		}
	}
}

func named(tables *table.Tables, r state.Reader, name string) (d table.Device) {
	for d = range tables.Devices.By(r, table.ByName, state.Join(name)) {
	}
	return d
}

func TestEveryChangeOfADeviceIsSeen(t *testing.T) {
	tables, await := follow(t)
	ip(t, "link set lo up")
	is := func(name string, check func(d table.Device) bool) func(r state.Reader) bool {
		return func(r state.Reader) bool { return tables.Devices.IsSynced(r) && check(named(tables, r, name)) }
	}
	await("lo", is("lo", func(d table.Device) bool {
		return d.Up && d.Kind == "" && slices.Contains(d.Addresses, netip.MustParsePrefix("127.0.0.1/8"))
	}))
	ip(t, "link add eth0 type veth peer name far")
	defer ip(t, "link del eth0")
	await("eth0", is("eth0", func(d table.Device) bool { return d.Kind == "veth" && d.MTU == 1500 && !d.Up && d.MAC != "" }))
	ip(t, "link set eth0 up mtu 1400 address 02:00:00:00:00:01")
	await("eth0 up", is("eth0", func(d table.Device) bool { return d.Up && d.MTU == 1400 && d.MAC == "02:00:00:00:00:01" }))
	ip(t, "link set far up")
	ip(t, "addr add 192.168.0.1/24 dev eth0")
	ip(t, "addr add fd01::1/64 dev eth0 nodad")
	want := []netip.Prefix{netip.MustParsePrefix("192.168.0.1/24"), netip.MustParsePrefix("fd01::1/64")}
	await("its addresses", is("eth0", func(d table.Device) bool {
		return slices.Contains(d.Addresses, want[0]) && slices.Contains(d.Addresses, want[1]) && slices.IsSortedFunc(d.Addresses, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	}))
	for _, route := range []string{"route add default via 192.168.0.9", "-6 route add default via fd01::9 dev eth0", "route add default nexthop via 192.168.0.8 dev eth0 nexthop via 192.168.0.9 dev eth0"} {
		ip(t, route)
		await(route, is("eth0", func(d table.Device) bool { return d.Default }))
		ip(t, strings.Replace(route, "add", "del", 1))
		await("no "+route, is("eth0", func(d table.Device) bool { return !d.Default }))
	}
	ip(t, "addr del 192.168.0.1/24 dev eth0")
	await("no address", is("eth0", func(d table.Device) bool { return !slices.Contains(d.Addresses, want[0]) }))
	ip(t, "link set eth0 name eth9")
	await("another name", is("eth9", func(d table.Device) bool { return d.MTU == 1400 }))
	await("the old name", is("eth0", func(d table.Device) bool { return d.Name == "" }))
	ip(t, "link add br0 type bridge")
	ip(t, "link set eth9 master br0")
	await("bridge port", func(r state.Reader) bool {
		br := named(tables, r, "br0").Index
		return br != 0 && named(tables, r, "eth9").Master == br
	})
	ip(t, "link set eth9 nomaster")
	await("no bridge port any more", is("eth9", func(d table.Device) bool { return d.Name == "eth9" && d.Master == 0 }))
	ip(t, "link del br0")
	await("no bridge", is("br0", func(d table.Device) bool { return d.Name == "" }))
	ip(t, "link set eth9 name eth0")
}

// agrees tells whether the table says what the Go library finds.
func agrees(t testing.TB, tables *table.Tables, r state.Reader) bool {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if tables.Devices.Len(r) != len(interfaces) {
		return false
	}
	for _, want := range interfaces {
		d, _ := tables.Devices.One(r, state.Join(uint32(want.Index)))
		addrs, err := want.Addrs()
		if err != nil || d.Name != want.Name || d.MTU != want.MTU || d.Up != (want.Flags&net.FlagUp != 0) || d.MAC != want.HardwareAddr.String() || len(d.Addresses) != len(addrs) {
			return false
		}
		for _, a := range addrs {
			if !slices.Contains(d.Addresses, netip.MustParsePrefix(a.String())) {
				return false
			}
		}
	}
	return true
}

func TestWhenTheKernelIsQuietTheTableIsWhatItWouldAnswer(t *testing.T) {
	tables, await := follow(t)
	rapid.Check(t, func(r *rapid.T) {
		var there []int
		var lines []string
		for range rapid.IntRange(1, 10).Draw(r, "changes") {
			n := rapid.IntRange(0, 3).Draw(r, "device")
			if !slices.Contains(there, n) {
				lines = append(lines, fmt.Sprintf("link add a%d type veth peer name b%d", n, n))
				there = append(there, n)
				continue
			}
			change := rapid.SampledFrom([]string{
				"link set aN up", "link set aN down", "link set aN mtu 1300", "link set bN up", "addr replace 192.0.2.N/24 dev aN",
				"addr flush dev aN", "addr replace 2001:db8::N/64 dev aN nodad", "link del aN",
			}).Draw(r, "change")
			lines = append(lines, strings.ReplaceAll(change, "N", fmt.Sprint(n)))
			if change == "link del aN" {
				there = slices.DeleteFunc(there, func(x int) bool { return x == n })
			}
		}
		batch(t, lines...)
		await("what the kernel answers", func(r state.Reader) bool { return agrees(t, tables, r) })
		lines = nil
		for _, n := range there {
			lines = append(lines, fmt.Sprintf("link del a%d", n))
		}
		batch(t, lines...)
	})
}

func TestAFloodOfChangesLosesNothing(t *testing.T) {
	tables, await := follow(t, (*netdev.Source).Shrink)
	await("the first list", func(r state.Reader) bool { return tables.Devices.IsSynced(r) })
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("link add f%d type veth peer name g%d", i, i), fmt.Sprintf("link set f%d up", i), fmt.Sprintf("link set g%d up", i),
			fmt.Sprintf("addr add 198.18.0.%d/32 dev f%d", i+1, i))
	}
	for i := range 199 {
		lines = append(lines, fmt.Sprintf("link del f%d", i))
	}
	batch(t, lines...)
	await("what the kernel answers", func(r state.Reader) bool { return agrees(t, tables, r) })
	ip(t, "link del f199")
}
