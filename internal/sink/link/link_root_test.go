package link_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/kerneltest"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// TestMain runs the tests in a network namespace of their own: they make devices and change settings of the node.
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

// needsRoot skips what cannot be done without.
func needsRoot(t testing.TB) {
	if os.Getuid() != 0 {
		t.Skip("makes network devices and namespaces: run it as root")
	}
}

func newNetns(t testing.TB) ns.NetNS {
	t.Helper()
	n, err := testutils.NewNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(); testutils.UnmountNS(n) })
	return n
}

func newLinks(t testing.TB) *link.Links {
	t.Helper()
	needsRoot(t)
	l, err := link.NewLinks(link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func row(id string, n ns.NetNS, incarnation uint32, addresses ...string) table.Link {
	l := table.Link{
		HostName: attach.HostName(id, "eth0", 0), Kind: "veth", HostMAC: attach.HostMAC(id, "eth0"), ContainerID: id, Interface: "eth0",
		Netns: n.Path(), MAC: attach.MAC(id, "eth0"), MTU: 1450, Incarnation: incarnation,
	}
	for _, a := range addresses {
		l.Addresses = append(l.Addresses, netip.MustParseAddr(a))
	}
	return l
}

func dump(t testing.TB, l *link.Links) []table.Link {
	t.Helper()
	seq, err := l.Dump(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var rows []table.Link
	for k, r := range seq {
		if k != state.Join(r.HostName) {
			t.Errorf("key of %s is %s", r.HostName, k)
		}
		rows = append(rows, r)
	}
	return rows
}

// set sets rows and unsets them when the test is over.
func set(t testing.TB, l *link.Links, rows ...table.Link) {
	t.Helper()
	if err := l.Set(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Unset(context.Background(), rows) })
}

// ip is what the tool of that name prints, inside a network namespace if one is given.
func ip(t testing.TB, n ns.NetNS, args string) string {
	t.Helper()
	var out []byte
	run := func(ns.NetNS) (err error) {
		out, err = exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		return err
	}
	err := error(nil)
	if n == nil {
		err = run(nil)
	} else {
		err = n.Do(run)
	}
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

func has(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

func TestALinkIsMadeWhole(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 17, "10.244.1.7", "fd00:1::7")
	set(t, l, want)
	if got := dump(t, l); len(got) != 1 || !l.Equal(want, got[0]) {
		t.Errorf("dumped: %v", got)
	}
	if err := l.Check(context.Background(), want); err != nil {
		t.Error(err)
	}
	has(t, ip(t, nil, "-d link show dev "+want.HostName), "mtu 1450", ",UP,LOWER_UP>", "alias weft:17", "link/ether "+want.HostMAC, "veth", "addrgenmode none", "numtxqueues 1 numrxqueues 1")
	if got := ip(t, nil, "addr show dev "+want.HostName); strings.Contains(got, "inet") {
		t.Errorf("the host's side has an address: %s", got)
	}
	if diff := cmp.Diff("10.244.1.7 lladdr "+want.MAC+" PERMANENT\nfd00:1::7 lladdr "+want.MAC+" PERMANENT", ip(t, nil, "neigh show dev "+want.HostName)); diff != "" {
		t.Error(diff)
	}
	has(t, ip(t, n, "-d addr show dev eth0"), "mtu 1450", "link/ether "+want.MAC, "inet 10.244.1.7/32", "inet6 fd00:1::7/128 scope global nodad", "numtxqueues 1 numrxqueues 1")
	if diff := cmp.Diff("169.254.1.1 dev eth0 scope link\ndefault via 169.254.1.1 dev eth0", ip(t, n, "-4 route show")); diff != "" {
		t.Error(diff)
	}
	has(t, ip(t, n, "-6 route show"), "default via fe80::1 dev eth0 metric 1024 onlink")
	has(t, ip(t, n, "neigh show"), "169.254.1.1 dev eth0 lladdr "+want.HostMAC+" PERMANENT", "fe80::1 dev eth0 lladdr "+want.HostMAC+" PERMANENT")
}

func TestANetkitPairIsMadeOrItIsSaidWhyNot(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 17, "10.244.1.7", "fd00:1::7")
	want.Kind = "netkit"
	if !probe.Netkit() {
		err := l.Set(context.Background(), []table.Link{want})
		if err == nil || !strings.Contains(err.Error(), "Linux 6.8 and later have") || !strings.Contains(err.Error(), "datapath-mode") {
			t.Errorf("%v", err)
		}
		if got := dump(t, l); len(got) != 0 {
			t.Errorf("dumped: %v", got)
		}
		return
	}
	set(t, l, want)
	got := dump(t, l)
	if len(got) != 1 || !l.Equal(want, got[0]) || got[0].Kind != "netkit" {
		t.Errorf("dumped: %v", got)
	}
	if err := l.Check(context.Background(), want); err != nil {
		t.Error(err)
	}
	has(t, ip(t, n, "addr show dev eth0"), "mtu 1450", "link/ether "+want.MAC, "inet 10.244.1.7/32", "inet6 fd00:1::7/128 scope global nodad")
	want.MTU = 1400
	set(t, l, want)
	has(t, ip(t, n, "link show dev eth0"), "mtu 1400")
	want.Kind = "veth" // running workloads keep what they have
	if !l.Equal(want, dump(t, l)[0]) {
		t.Error("a pair would be made anew because new ones are of another kind")
	}
}

func TestEverySettingIsInForceAndHasAReason(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 1, "10.244.1.7", "fd00:1::7")
	set(t, l, want)
	tunnels := newTunnels(t)
	setTunnel(t, tunnels, tunnel)
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/lo/accept_ra", []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := link.PrepareNode("", ""); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile("/proc/sys/net/ipv6/conf/lo/accept_ra"); string(got) != "2\n" {
		t.Errorf("a node that forwards would lose its routes from router advertisements: accept_ra is %s", got)
	}
	device := map[string]string{"host": want.HostName, "workload": "eth0", "tunnel": "weft_vxlan"}
	for _, s := range link.Sysctls() {
		look := func(ns.NetNS) error {
			got, err := os.ReadFile("/proc/sys/net/" + strings.ReplaceAll(s.Path, "DEVICE", device[s.Scope]))
			if err != nil || strings.TrimSpace(string(got)) != s.Value || len(s.Reason) < 20 {
				t.Errorf("%s %s is %q, want %s: %v (%s)", s.Scope, s.Path, got, s.Value, err, s.Reason)
			}
			return nil
		}
		if s.Scope == "workload" {
			n.Do(look)
		} else {
			look(nil)
		}
	}
}

func TestWorkloadAndNodeReachEachOtherWithoutARPOrNDP(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 1, "10.244.1.7", "fd00:1::7")
	set(t, l, want)
	if err := link.PrepareNode("/proc", ""); err != nil {
		t.Fatal(err)
	}
	ip(t, nil, "link set lo up")
	ip(t, nil, "addr replace 192.0.2.1/32 dev lo")
	ip(t, nil, "addr replace 2001:db8::1/128 dev lo nodad")
	ip(t, nil, "route replace 10.244.1.7/32 dev "+want.HostName)
	ip(t, nil, "route replace fd00:1::7/128 dev "+want.HostName)
	for from, to := range map[string]string{"192.0.2.1": "10.244.1.7", "2001:db8::1": "fd00:1::7"} {
		dialed := make(chan error, 1)
		err := n.Do(func(ns.NetNS) error {
			server, err := net.Listen("tcp", net.JoinHostPort(to, "80"))
			if err != nil {
				return err
			}
			go func() {
				conn, err := server.Accept()
				if err == nil {
					_, err = fmt.Fprint(conn, "hello from ", conn.RemoteAddr())
					conn.Close()
				}
				server.Close()
				dialed <- err
			}()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", net.JoinHostPort(to, "80"))
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 100)
		size, _ := conn.Read(answer)
		if err := <-dialed; err != nil || !strings.Contains(string(answer[:size]), from) {
			t.Errorf("%s: %q, %v", to, answer[:size], err)
		}
		conn.Close()
	}
	if got := ip(t, nil, "-s link show dev "+want.HostName); strings.Contains(got, "ARP") {
		t.Error(got)
	}
	has(t, ip(t, n, "neigh show"), "PERMANENT")
}

// carrier is what the kernel says of a device some time after it has been set up.
var carrier = regexp.MustCompile(`<[A-Z_,]*>|state [A-Z]+`)

func TestSetAgainTouchesNothingThatAWorkloadHasMadeItsOwn(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 1, "10.244.1.7", "fd00:1::7")
	set(t, l, want)
	// What a virtual machine's launcher does: another name, no addresses, a bridge.
	ip(t, n, "addr flush dev eth0")
	ip(t, n, "link set eth0 down")
	ip(t, n, "link set eth0 name eth0-nic")
	ip(t, n, "link set eth0-nic addrgenmode none")
	ip(t, n, "link set eth0-nic up")
	look := func() string { return carrier.ReplaceAllString(ip(t, n, "addr show"), "") }
	before := look()
	set(t, l, want)
	if diff := cmp.Diff(before, look()); diff != "" {
		t.Error(diff)
	}
	if err := l.Check(context.Background(), want); err == nil || !strings.Contains(err.Error(), "find eth0") {
		t.Errorf("CHECK says %v", err)
	}
	want.MTU = 1400
	set(t, l, want)
	has(t, ip(t, n, "link show dev eth0-nic"), "mtu 1400")
	has(t, ip(t, nil, "link show dev "+want.HostName), "mtu 1400")
}

func TestTheHostsSideIsRepaired(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 1, "10.244.1.7", "fd00:1::7")
	set(t, l, want)
	for _, damage := range []string{"link set DEV down", "link set DEV mtu 1300", "link set DEV address 02:00:00:00:00:99"} {
		ip(t, nil, strings.ReplaceAll(damage, "DEV", want.HostName))
		if got := dump(t, l); l.Equal(want, got[0]) {
			t.Errorf("%s goes unseen", damage)
		}
		set(t, l, want)
		if got := dump(t, l); !l.Equal(want, got[0]) {
			t.Errorf("%s is not repaired: %v", damage, got)
		}
		if err := l.Check(context.Background(), want); err != nil {
			t.Errorf("%s: %v", damage, err)
		}
	}
	ip(t, nil, "link del "+want.HostName)
	if got := dump(t, l); len(got) != 0 {
		t.Errorf("dumped: %v", got)
	}
	set(t, l, want)
	if err := l.Check(context.Background(), want); err != nil {
		t.Error(err)
	}
}

func TestWhatACrashLeftIsMadeAnewAndWhatOthersMadeIsNotTouched(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 2, "10.244.1.7")
	ip(t, nil, "link add "+want.HostName+" type veth peer name other")
	if got := dump(t, l); len(got) != 1 || got[0].Incarnation != 0 || l.Equal(want, got[0]) {
		t.Errorf("dumped: %v", got)
	}
	set(t, l, want)
	if err := l.Check(context.Background(), want); err != nil {
		t.Error(err)
	}
	older := want
	older.Incarnation = 1
	if err := l.Check(context.Background(), older); err == nil {
		t.Error("a link passes for one of another incarnation")
	}

	foreign := row("c2", n, 3, "10.244.1.8")
	foreign.Interface = "eth1"
	ip(t, nil, "link add "+foreign.HostName+" type bridge")
	ip(t, nil, "link set "+foreign.HostName+" alias mine")
	t.Cleanup(func() { ip(t, nil, "link del "+foreign.HostName) })
	for name, err := range map[string]error{
		"Set":   l.Set(context.Background(), []table.Link{foreign}),
		"Unset": l.Unset(context.Background(), []table.Link{foreign}),
		"Check": l.Check(context.Background(), foreign),
	} {
		if err == nil || !strings.Contains(err.Error(), `is not ours (kind bridge, alias "mine")`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := dump(t, l); len(got) != 1 {
		t.Errorf("dumped: %v", got)
	}
}

func TestALinkThatCannotBeMadeSaysWhyAndLeavesNothing(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	ip(t, n, "link add eth0 type bridge")
	taken := row("c1", n, 1, "10.244.1.7")
	gone := row("c2", n, 2, "10.244.1.8")
	gone.Netns = "/var/run/netns/gone"
	bad := row("c3", n, 3, "10.244.1.9")
	bad.Interface, bad.MTU = "eth1", 7
	good := row("c4", n, 4, "10.244.1.10")
	good.Interface = "eth2"
	t.Cleanup(func() { l.Unset(context.Background(), []table.Link{good}) })
	err := l.Set(context.Background(), []table.Link{taken, gone, bad, good})
	if err == nil {
		t.Fatal("all were made")
	}
	has(t, err.Error(), "eth0 exists already in network namespace "+n.Path(), "network namespace /var/run/netns/gone", "make veth pair "+bad.HostName)
	if got := dump(t, l); len(got) != 1 || !l.Equal(good, got[0]) {
		t.Errorf("dumped: %v", got)
	}
	var rowError interface{ Unwrap() []error }
	if !errors.As(err, &rowError) || len(rowError.Unwrap()) != 3 {
		t.Errorf("errors: %v", err)
	}
}

func TestUnsetRemovesALinkEvenIfItsNamespaceIsGone(t *testing.T) {
	l, n := newLinks(t), newNetns(t)
	want := row("c1", n, 1, "10.244.1.7")
	set(t, l, want)
	for range 2 {
		if err := l.Unset(context.Background(), dump(t, l)); err != nil {
			t.Error(err)
		}
		if err := l.Unset(context.Background(), []table.Link{want}); err != nil {
			t.Error(err)
		}
	}
	if got := dump(t, l); len(got) != 0 {
		t.Errorf("dumped: %v", got)
	}
}

var tunnel = table.Tunnel{Name: "weft_vxlan", Kind: "vxlan", Port: 8472, MTU: 1450}

func newTunnels(t testing.TB) *link.Tunnels {
	t.Helper()
	needsRoot(t)
	s, err := link.NewTunnels(link.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func setTunnel(t testing.TB, s *link.Tunnels, r table.Tunnel) {
	t.Helper()
	if err := s.Set(context.Background(), []table.Tunnel{r}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Unset(context.Background(), []table.Tunnel{r}) })
	seq, err := s.Dump(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for k, have := range seq {
		if k != state.Join(r.Name) || !s.Equal(r, have) {
			t.Errorf("dumped: %v, want %v", have, r)
		}
	}
}

func TestTheTunnelDeviceIsMadeAndRepaired(t *testing.T) {
	s := newTunnels(t)
	setTunnel(t, s, tunnel)
	has(t, ip(t, nil, "-d link show dev weft_vxlan"), "mtu 1450", "NOARP", "UP", "vxlan external", "dstport 8472", "nolearning", "addrgenmode none", "udp6zerocsumrx", "alias weft:tunnel")
	index := ip(t, nil, "-o link show dev weft_vxlan")
	setTunnel(t, s, tunnel)
	if got := ip(t, nil, "-o link show dev weft_vxlan"); got != index {
		t.Errorf("a device that was right was made anew: %s, %s", index, got)
	}
	ip(t, nil, "link set weft_vxlan down")
	ip(t, nil, "link set weft_vxlan mtu 1300")
	setTunnel(t, s, tunnel)
	other := tunnel
	other.Port, other.MTU = 4789, 8950
	setTunnel(t, s, other)
	has(t, ip(t, nil, "-d link show dev weft_vxlan"), "mtu 8950", "dstport 4789")
	ip(t, nil, "link del weft_vxlan")
	ip(t, nil, "link add weft_vxlan type vxlan id 7 dstport 8472") // an older version, or a person
	setTunnel(t, s, tunnel)
	has(t, ip(t, nil, "-d link show dev weft_vxlan"), "vxlan external")
	if err := s.Unset(context.Background(), []table.Tunnel{tunnel}); err != nil {
		t.Error(err)
	}
	if got := ip(t, nil, "link show"); strings.Contains(got, "weft_vxlan") {
		t.Error(got)
	}
}

func TestAPortThatIsTakenIsAnErrorThatNamesTheTaker(t *testing.T) {
	s := newTunnels(t)
	ip(t, nil, "link set lo up")
	for _, c := range []struct{ taker, want string }{
		{"link add flannel.1 type vxlan external dstport 8472", "device flannel.1 holds UDP port 8472"},
		{"link add flannel.1 type vxlan id 1 dstport 8472", "device flannel.1 holds UDP port 8472"},
	} {
		ip(t, nil, c.taker)
		ip(t, nil, "link set flannel.1 up")
		err := s.Set(context.Background(), []table.Tunnel{tunnel})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.taker, err)
		}
		ip(t, nil, "link del flannel.1")
	}
	conn, err := net.ListenPacket("udp", ":8472")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Set(context.Background(), []table.Tunnel{tunnel})
	if err == nil || !strings.Contains(err.Error(), "a process holds UDP port 8472") {
		t.Errorf("%v", err)
	}
	conn.Close()
	setTunnel(t, s, tunnel)
}

func BenchmarkALinkComesAndGoes(b *testing.B) {
	l, n := newLinks(b), newNetns(b)
	want := row("c1", n, 1, "10.244.1.7", "fd00:1::7")
	for b.Loop() {
		if err := l.Set(context.Background(), []table.Link{want}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := l.Unset(context.Background(), []table.Link{want}); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func TestADeviceForCallsByDSRIsMadeAndRepaired(t *testing.T) {
	s := newTunnels(t)
	geneve := table.Tunnel{Name: "weft_geneve", Kind: "geneve", Port: 6081, MTU: 1450}
	err := s.Set(context.Background(), []table.Tunnel{geneve})
	if errors.Is(err, unix.EOPNOTSUPP) && !strings.Contains(err.Error(), "this kernel has no Geneve (CONFIG_GENEVE, module geneve): set bpf-lb-dsr-dispatch to opt") {
		t.Errorf("what keeps a node from it: %v", err)
	}
	kerneltest.Needs(t, kerneltest.Geneve, !errors.Is(err, unix.EOPNOTSUPP))
	setTunnel(t, s, geneve)
	has(t, ip(t, nil, "-d link show dev weft_geneve"), "mtu 1450", "NOARP", "UP", "geneve external", "dstport 6081", "addrgenmode none", "alias weft:tunnel")
	index := ip(t, nil, "-o link show dev weft_geneve")
	setTunnel(t, s, geneve)
	if got := ip(t, nil, "-o link show dev weft_geneve"); got != index {
		t.Errorf("a device that was right was made anew: %s, %s", index, got)
	}
	ip(t, nil, "link del weft_geneve")
	ip(t, nil, "link add weft_geneve type geneve id 7 remote 192.0.2.1") // an older version, or a person
	setTunnel(t, s, geneve)
	has(t, ip(t, nil, "-d link show dev weft_geneve"), "geneve external")
	if err := s.Unset(context.Background(), []table.Tunnel{geneve}); err != nil {
		t.Error(err)
	}
	if got := ip(t, nil, "link show"); strings.Contains(got, "weft_geneve") {
		t.Error(got)
	}
}
