package cni_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/containernetworking/plugins/pkg/testutils"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/derive/config"
	derive "weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/derive/need"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/source/netdev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// TestMain runs the tests in a network namespace of their own if it may: some make devices.
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

// host is a node with a real kernel below it: all that there is between a CNI call and packets, but for the programs.
type host struct {
	*node
	server *cni.Server
	links  *link.Links
}

func newHost(t testing.TB) *host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("makes network devices and namespaces: run it as root")
	}
	h := &host{node: newNode(t, dual...)}
	devices := try[*netdev.Source](t)(netdev.New(h.Devices, h.db, slog.New(slog.NewTextHandler(io.Discard, nil))))
	h.links = try[*link.Links](t)(link.NewLinks(link.Options{}))
	tunnels := try[*link.Tunnels](t)(link.NewTunnels(link.Options{}))
	routes := try[*route.Routes](t)(route.New())
	if err := link.PrepareNode("", ""); err != nil {
		t.Fatal(err)
	}
	h.write(func(tx *state.Tx) { h.Nodes.MarkSynced(tx) })
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	run := func(f func(ctx context.Context) error) { group.Go(func() { f(ctx) }) }
	run(devices.Run)
	for _, d := range append([]state.AnyDerivation{config.New(h.Tables)}, derive.Derivations(h.Tables)...) {
		run(func(ctx context.Context) error { return d.Run(ctx, h.db) })
	}
	run(func(ctx context.Context) error { return need.Needs(h.Tables, derive.Needs).Run(ctx, h.db) }) // without programs
	run(func(ctx context.Context) error { return need.Ready(h.Tables).Run(ctx, h.db) })
	run(func(ctx context.Context) error {
		return (&reconcile.Loop[table.Link]{Table: h.Links, Sink: h.links}).Run(ctx, h.db)
	})
	run(func(ctx context.Context) error {
		return (&reconcile.Loop[table.Tunnel]{Table: h.Tunnels, Sink: tunnels}).Run(ctx, h.db)
	})
	run(func(ctx context.Context) error {
		return (&reconcile.Loop[table.Route]{Table: h.Routes, Sink: routes}).Run(ctx, h.db)
	})
	o := h.options()
	o.Kernel = h.links
	h.server = try[*cni.Server](t)(cni.New(o))
	t.Cleanup(func() {
		h.server.GC(context.Background(), agent.Request{Config: conf(`"cni.dev/valid-attachments":[]`)})
		h.write(func(tx *state.Tx) { h.Nodes.Delete(tx, state.Join("n1")) })
		within, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		if err := status.AwaitGone(within, h.db, h.Tunnels, state.Join(attach.TunnelDevice)); err != nil {
			t.Error(err)
		}
		cancel()
		group.Wait()
	})
	return h
}

func try[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// container is a network namespace.
func container(t testing.TB) ns.NetNS {
	t.Helper()
	n := try[ns.NetNS](t)(testutils.NewNS())
	t.Cleanup(func() { n.Close(); testutils.UnmountNS(n) })
	n.Do(func(ns.NetNS) error { return exec.Command("ip", "link", "set", "lo", "up").Run() }) // as runtimes do
	return n
}

func (h *host) add(t testing.TB, id string, n ns.NetNS) []netip.Addr {
	t.Helper()
	r := h.request(id)
	r.Netns = n.Path()
	answer, err := h.server.Add(context.Background(), r)
	var out []netip.Addr
	for _, ip := range result(t, answer, err).IPs {
		a, _ := netip.AddrFromSlice(ip.Address.IP)
		out = append(out, a.Unmap())
	}
	return out
}

// dial speaks TCP from one namespace to an address in another.
func dial(t testing.TB, from, in ns.NetNS, to netip.Addr) {
	t.Helper()
	var listener net.Listener
	err := in.Do(func(ns.NetNS) (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(to, 80).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			io.WriteString(conn, "hello "+conn.RemoteAddr().String())
			conn.Close()
		}
	}()
	err = from.Do(func(ns.NetNS) error {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, 80).String(), 5*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, err := io.ReadAll(conn)
		if !strings.HasPrefix(string(answer), "hello ") {
			return fmt.Errorf("%q, %v", answer, err)
		}
		return nil
	})
	if err != nil {
		t.Errorf("dial %s: %v", to, err)
	}
}

func TestContainersThatWereAddedReachEachOtherAtOnce(t *testing.T) {
	h := newHost(t)
	a, b := container(t), container(t)
	h.add(t, "c1", a)
	for _, to := range h.add(t, "c2", b) {
		dial(t, a, b, to)
		dial(t, b, b, to)
	}
}

func TestAContainerIsWholeAfterARestartAndGoneAfterItsDEL(t *testing.T) {
	h := newHost(t)
	a := container(t)
	r := h.request("c1")
	r.Netns = a.Path()
	answer, err := h.server.Add(context.Background(), r)
	result(t, answer, err)
	data, _ := json.Marshal(answer)
	r.Config = conf(`"prevResult":` + string(data))
	if _, err := h.server.Check(context.Background(), r); err != nil {
		t.Error(err)
	}
	a.Do(func(ns.NetNS) error { return exec.Command("ip", "addr", "flush", "dev", "eth0").Run() })
	_, err = h.server.Check(context.Background(), r)
	refused(t, err, 999, "address 10.244.1.2/32 is not on eth0", "fd00:244:1::2/128", "no default route via 169.254.1.1")

	a.Close()
	testutils.UnmountNS(a) // the namespace goes before the DEL comes
	if _, err := h.server.Del(context.Background(), agent.Request{ContainerID: "c1", Interface: "eth0", Netns: r.Netns}); err != nil {
		t.Error(err)
	}
	interfaces := try[[]net.Interface](t)(net.Interfaces())
	if slices.ContainsFunc(interfaces, func(i net.Interface) bool { return attach.IsHostName(i.Name) }) {
		t.Errorf("left behind: %v", interfaces)
	}
}

func TestAnADDThatCannotWorkSaysWhatTheKernelSaid(t *testing.T) {
	h := newHost(t)
	n := container(t)
	n.Do(func(ns.NetNS) error { return exec.Command("ip", "link", "add", "eth0", "type", "bridge").Run() })
	r := h.request("c1")
	r.Netns = n.Path()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // the runtime loses patience once the kernel has said no
		defer cancel()
		for {
			_, failed, changed := status.Statuses.WatchOne(h.db.Snapshot(), status.KeyOf(h.Links, state.Join(attach.HostName("c1", "eth0", 0))))
			if failed {
				break
			}
			<-changed
		}
		for { // and the agent knows that the pod needs this link
			s := h.db.Snapshot()
			if h.Needs.Len(s) > 0 {
				return
			}
			<-h.Needs.WatchAll(s)
		}
	}()
	_, err := h.server.Add(ctx, r)
	refused(t, err, 11, "link: set: make veth pair: eth0 exists already in network namespace "+n.Path())
	if got := h.addresses(); got != "" {
		t.Errorf("left behind: %s", got)
	}
}

// BenchmarkADD measures an ADD by the real kernel but for the programs: one after the other, and as many at once as a
// node that starts a deployment.
func BenchmarkADD(b *testing.B) {
	for _, at := range []int{1, 30} {
		b.Run(fmt.Sprint(at, " at once"), func(b *testing.B) {
			h := newHost(b)
			h.write(func(tx *state.Tx) { h.own(tx, "10.240.0.0/13", "fd00:244::/48") })
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				containers := make([]ns.NetNS, at)
				for i := range containers {
					containers[i] = container(b)
				}
				var mu sync.Mutex
				var group sync.WaitGroup
				b.StartTimer()
				for i, n := range containers {
					group.Go(func() {
						began := time.Now()
						h.add(b, fmt.Sprint("c", i), n)
						mu.Lock()
						defer mu.Unlock()
						took = append(took, time.Since(began))
					})
				}
				group.Wait()
				b.StopTimer()
				for i := range containers {
					group.Go(func() {
						if _, err := h.server.Del(context.Background(), h.request(fmt.Sprint("c", i))); err != nil {
							b.Error(err)
						}
					})
				}
				group.Wait()
				for _, n := range containers {
					n.Close()
					testutils.UnmountNS(n)
				}
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/ADD-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/ADD-p99")
		})
	}
}
