package route_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	const inside = "WEFT_TEST_NETNS"
	if os.Getuid() != 0 || os.Getenv(inside) != "" {
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

func ip(t testing.TB, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// network gives the node a device on a network and one without, and routes of others.
func network(t testing.TB) *route.Routes {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("changes routes: run it as root")
	}
	for _, args := range []string{
		"link add eth0 type veth peer name far", "link set eth0 up", "link set far up", "link add pod0 type veth peer name pod1", "link set pod0 up", "link set pod1 up",
		"addr add 192.168.0.1/24 dev eth0", "addr add fd01::1/64 dev eth0 nodad", "route add 10.9.0.0/16 via 192.168.0.9", "route add 10.8.0.0/16 dev eth0 metric 44",
		"route add 10.7.0.0/16 dev eth0 proto kernel",
	} {
		ip(t, args)
	}
	t.Cleanup(func() { ip(t, "link del eth0"); ip(t, "link del pod0") })
	s, err := route.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func row(prefix, device, gateway, source string, mtu int) table.Route {
	r := table.Route{Prefix: netip.MustParsePrefix(prefix), Device: device, MTU: mtu}
	if gateway != "" {
		r.Gateway = netip.MustParseAddr(gateway)
	}
	if source != "" {
		r.Source = netip.MustParseAddr(source)
	}
	return r
}

func dump(t testing.TB, s *route.Routes) (rows []table.Route) {
	t.Helper()
	seq, err := s.Dump(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for k, r := range seq {
		if k != state.Join(r.Prefix) {
			t.Errorf("key of %v is %s", r, k)
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b table.Route) int { return strings.Compare(a.Prefix.String(), b.Prefix.String()) })
	return rows
}

var compareAddresses = cmp.Comparer(func(a, b table.Route) bool { return a == b })

func TestRoutesAreWhatTheTableSaysAndThoseOfOthersStay(t *testing.T) {
	s := network(t)
	before := ip(t, "route show") + "\n" + ip(t, "-6 route show")
	want := []table.Route{
		row("10.244.1.7/32", "pod0", "", "", 0), row("10.244.2.0/24", "eth0", "", "192.168.0.1", 0), row("10.244.3.0/24", "eth0", "192.168.0.3", "", 1400),
		row("fd00:1::7/128", "pod0", "", "", 0), row("fd00:2::/64", "eth0", "", "fd01::1", 0), row("fd00:3::/64", "eth0", "fd01::3", "", 0),
	}
	for range 2 {
		if err := s.Set(context.Background(), want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, s), compareAddresses); diff != "" {
			t.Error(diff)
		}
	}
	if got := ip(t, "route show 10.244.3.0/24"); got != "10.244.3.0/24 via 192.168.0.3 dev eth0 proto kernel metric 44 mtu 1400" {
		t.Error(got)
	}
	moved := []table.Route{row("10.244.1.7/32", "eth0", "", "", 0), row("fd00:3::/64", "eth0", "fd01::4", "fd01::1", 0)}
	if err := s.Set(context.Background(), moved); err != nil {
		t.Fatal(err)
	}
	want[0], want[5] = moved[0], moved[1]
	if diff := cmp.Diff(want, dump(t, s), compareAddresses); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := s.Unset(context.Background(), want); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before, ip(t, "route show")+"\n"+ip(t, "-6 route show")); diff != "" {
		t.Error(diff)
	}
}

func TestARouteThatCannotBeSetSaysWhyAndHoldsUpNoOther(t *testing.T) {
	s := network(t)
	bad := []table.Route{row("10.244.4.0/24", "gone", "", "", 0), row("10.244.5.0/24", "eth0", "203.0.113.1", "", 0), row("10.244.6.0/24", "pod0", "", "", 0)}
	err := s.Set(context.Background(), bad)
	if err == nil || !strings.Contains(err.Error(), "find device gone") || !strings.Contains(err.Error(), "replace route") {
		t.Errorf("error is %v", err)
	}
	if got := dump(t, s); len(got) != 1 || got[0] != bad[2] {
		t.Errorf("dumped: %v", got)
	}
}

func TestARouteThatAnotherProgramDeletesIsHeardOf(t *testing.T) {
	s := network(t)
	rows := []table.Route{row("10.244.1.7/32", "pod0", "", "", 0), row("fd00:1::7/128", "pod0", "", "", 0), row("10.244.2.0/24", "eth0", "", "192.168.0.1", 0)}
	if err := s.Set(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	heard, over := make(chan state.Key, 100), make(chan error, 1)
	go func() { over <- s.Watch(ctx, func(k state.Key, _ *table.Route) { heard <- k }) }()
	await := func(want state.Key, do ...string) {
		t.Helper()
		for { // it may not listen yet, so what it could hear is done until it does
			for _, args := range do {
				ip(t, args)
			}
			if err := s.Set(context.Background(), rows); err != nil {
				t.Fatal(err)
			}
			select {
			case k := <-heard:
				if k == want {
					return
				}
			case err := <-over:
				t.Fatal(err)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	await(state.Join(rows[0].Prefix), "route del 10.244.1.7/32 dev pod0")
	await(state.Join(rows[1].Prefix), "-6 route del fd00:1::7/128 dev pod0")
	await("", "addr del 192.168.0.1/24 dev eth0", "addr add 192.168.0.1/24 dev eth0")
	await("", "link set pod0 down", "link set pod0 up")
	stop()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ends with %v", err)
	}
}
