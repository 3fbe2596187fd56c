package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/goldentest"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// ways are what the kernel knows of addresses: what the agent has written, with what a test does to it.
type ways struct {
	n      Node
	places map[netip.Addr]table.IPCacheRow
	kept   map[uint32]uint32 // backends by service
	idle   time.Duration
	admits bool
}

func (w *ways) Place(a netip.Addr) (table.IPCacheRow, bool, error) {
	if row, other := w.places[a]; other {
		return row, true, nil
	}
	row, found := w.n.placeOf(w.n.Now(), a)
	return row, found, nil
}

func (w *ways) Admits(netip.Addr, uint32) (bool, error) { return w.admits, nil }

func (w *ways) Kept(_ netip.Addr, of uint32) (uint32, time.Duration, error) {
	return w.kept[of], w.idle, nil
}

// newTraceBench is the bench with pods and nodes: shop/cart and a pod of shop/web on this node, others of it on node b, and a policy
// by which cart alone reaches web.
func newTraceBench(t *testing.T, settings ...table.Setting) (*bench, *ways) {
	t.Helper()
	b := newBench(t)
	w := &ways{n: b.Node, places: map[netip.Addr]table.IPCacheRow{}, kept: map[uint32]uint32{}}
	b.Ways = w
	tables := b.Tables
	app := func(name string) identity.Labels {
		return identity.NewLabels(map[string]string{"k8s:app": name})
	}
	chosen := func(name string) identity.Selector {
		return identity.NewSelector(identity.Requirement{Key: "any:app", Operator: identity.In, Values: []string{name}})
	}
	b.write(t, func(tx *state.Tx) {
		for _, s := range settings {
			tables.Settings.Put(tx, s)
		}
		tables.Nodes.Put(tx, table.Node{Name: "a", Local: true, Addresses: addrs("192.168.0.1", "fd00::1")})
		tables.Nodes.Put(tx, table.Node{Name: "b", Addresses: addrs("192.168.0.2")})
		for n, name := range map[identity.Number]string{300: "cart", 301: "web"} {
			tables.Identities.Put(tx, table.Identity{Number: n, Labels: app(name)})
		}
		tables.Workloads.Put(tx, table.Workload{ContainerID: "1", Namespace: "shop", Pod: "cart", Subject: table.Subject{Identity: 300, Labels: app("cart")}, Addresses: addrs("10.244.1.5", "fd00:244::5")})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "2", Namespace: "shop", Pod: "web-1", Subject: table.Subject{Identity: 301, Labels: app("web")}, Addresses: addrs("10.244.1.7")})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "web-2", Identity: 301, Addresses: addrs("10.244.2.9"), Node: addr("192.168.0.2")})
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "far", Identity: 300, Addresses: addrs("10.244.2.5"), Node: addr("192.168.0.2")})
		tables.Pods.Put(tx, table.Pod{Namespace: "kube-system", Name: "agent", Node: "a", HostNetwork: true})
		place := func(prefix string, n identity.Number, ifindex uint32, flags table.IPCacheFlag, tunnel string) {
			row := table.IPCacheRow{Prefix: netip.MustParsePrefix(prefix), Identity: n, Ifindex: ifindex, Flags: flags | table.IPCacheCluster}
			if tunnel != "" {
				row.Tunnel = addr(tunnel)
			}
			if n == identity.WorldIPv4 {
				row.Flags = 0
			}
			tables.IPCache.Put(tx, row)
		}
		place("10.244.1.5/32", 300, 11, table.IPCacheLocal, "")
		place("fd00:244::5/128", 300, 11, table.IPCacheLocal, "")
		place("10.244.1.7/32", 301, 12, table.IPCacheLocal, "")
		place("10.244.2.9/32", 301, 0, 0, "192.168.0.2")
		place("10.244.2.5/32", 300, 0, 0, "192.168.0.2")
		place("192.168.0.1/32", identity.Host, 0, table.IPCacheLocal|table.IPCacheNode, "")
		place("192.168.0.2/32", identity.RemoteNode, 0, table.IPCacheNode, "192.168.0.2")
		place("0.0.0.0/0", identity.WorldIPv4, 0, 0, "")
		tables.Policies.Put(tx, table.PolicyObject{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "web", Valid: true, Rules: []policy.Rule{{
			Origin:  policy.Origin{Kind: "CiliumNetworkPolicy", Namespace: "shop", Name: "web"},
			Subject: chosen("web"), DefaultDenyIngress: true,
			Ingress: []policy.Term{{Path: "ingress[0]", Peers: []identity.Selector{chosen("cart")}, Ports: []policy.Port{{Protocol: policy.TCP, First: 8080, Last: 8080}}}},
		}}})
		one := []table.Backend{{Address: addr("10.244.1.7"), Port: 8080}, {Address: addr("10.244.2.9"), Port: 8080}}
		sources := []table.Source{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Allowed: true}, {Prefix: netip.MustParsePrefix("203.0.113.7/32")}}
		tables.Frontends.Put(tx, table.Frontend{Address: addr("192.0.2.7"), Port: 80, Protocol: 6, Namespace: "shop", Name: "web", Kind: table.LoadBalancer, Scope: table.ScopeOutside, Backends: one, Sources: sources})
		tables.Frontends.Put(tx, table.Frontend{Address: addr("0.0.0.0"), Port: 30080, Protocol: 6, Namespace: "shop", Name: "web", Kind: table.NodePort, Scope: table.ScopeOutside, Backends: one})
		tables.Frontends.Put(tx, table.Frontend{Address: addr("0.0.0.0"), Port: 8443, Protocol: 6, Namespace: "shop", Name: "web-1", Kind: table.HostPort, Scope: table.ScopeHere, Backends: one[:1]})
		tables.Frontends.Put(tx, table.Frontend{Address: addr("10.96.0.30"), Port: 9999, Protocol: 132, Namespace: "shop", Name: "phone", Kind: table.ClusterIP, Backends: []table.Backend{{Address: addr("10.244.1.7"), Port: 8888}}})
	})
	config.New(tables).Step(b.db)
	b.settle(t)
	b.write(t, func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: tables.IPCache.Name(), Done: true, Rev: tables.IPCache.LastRevision(tx)})
	})
	return b, w
}

// trace is what is said of a call, a line for each thing.
func (b *bench) trace(t *testing.T, from, to string) string {
	t.Helper()
	x, err := b.Trace(from, to, "")
	if err != nil {
		return fmt.Sprintf("%s calls %s\n  error: %v\n", from, to, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s calls %s\n", x.From, x.To)
	for _, s := range x.Steps {
		fmt.Fprintf(&text, "  %s: %s | %s\n", s.Step, s.Table, s.Kernel)
	}
	fmt.Fprintf(&text, "  %s: %s\n", x.Outcome, x.Why)
	for _, one := range [][]string{{"hears", x.Hears}} {
		if one[1] != "" {
			fmt.Fprintf(&text, "  %s: %s\n", one[0], one[1])
		}
	}
	for _, r := range x.Backends {
		fmt.Fprintf(&text, "  -> %s %.2f %s", r.Address, r.Chance, r.Path)
		if r.Policy != nil {
			fmt.Fprintf(&text, ", allowed %v at %s", r.Policy.Allowed, r.Policy.To.Name)
		}
		if r.Note != "" {
			fmt.Fprintf(&text, ", %s", r.Note)
		}
		text.WriteString("\n")
	}
	for _, n := range x.Notes {
		fmt.Fprintf(&text, "  note: %s\n", n)
	}
	for _, f := range x.Faults {
		fmt.Fprintf(&text, "  FAULT: %s\n", f)
	}
	return text.String()
}

func TestACallIsFollowedToWhereItEnds(t *testing.T) {
	b, _ := newTraceBench(t)
	var text strings.Builder
	for _, c := range [][2]string{
		{"shop/cart", "10.96.0.20:80"},         // a cluster address
		{"10.244.1.5", "10.96.0.20:80/tcp"},    // the same by the pod's address
		{"shop/cart", "192.0.2.7:80"},          // an external one
		{"shop/cart", "192.168.0.2:30080"},     // a node port of another node
		{"shop/cart", "192.168.0.1:30081"},     // no node port
		{"shop/cart", "203.0.113.1:30080"},     // the port of one, at an address that is no node's
		{"shop/web-1", "10.96.0.20:80"},        // itself, among others
		{"shop/cart", "10.96.0.20:81"},         // no port of the service
		{"shop/cart", "10.96.0.20:80/udp"},     // no protocol of it
		{"shop/cart", "[fd00:96::20]:80"},      // no backends of this family
		{"shop/cart", "10.96.0.10:53/udp"},     // no backends at all
		{"shop/cart", "10.96.0.30:9999/sctp"},  // a port that cannot change
		{"shop/cart", "10.244.2.9:8080"},       // a pod, directly
		{"shop/cart", "203.0.113.1:443"},       // the outside
		{"shop/web-1", "203.0.113.1:443"},      // the same for another pod
		{"shop/far", "10.96.0.20:80"},          // of a pod of another node
		{"host", "10.96.0.20:80"},              // of this node itself
		{"kube-system/agent", "10.96.0.20:80"}, // the same
		{"192.168.0.2", "10.96.0.20:80"},       // of another node
		{"203.0.113.1", "192.0.2.7:80"},        // of the outside
		{"shop/web-1", "[fd00:96::20]:80"},
		{"shop/none", "10.96.0.20:80"},
		{"shop/cart", "10.96.0.20"},
		{"shop/cart", "10.96.0.20:80/icmp"},
		{"cart", "10.96.0.20:80"},
	} {
		text.WriteString(b.trace(t, c[0], c[1]) + "\n")
	}
	goldentest.Equal(t, "testdata/trace.txt", text.String())
}

func TestACallFromOutsideIsFollowedWhereThisNodeTranslatesIt(t *testing.T) {
	var text strings.Builder
	for _, mode := range []string{"tunnel", "native"} {
		b, w := newTraceBench(t, table.Setting{Name: "kube-proxy-replacement", Value: "true"}, table.Setting{Name: "routing-mode", Value: mode})
		w.admits = true
		fmt.Fprintf(&text, "routing-mode: %s\n\n", mode)
		for _, c := range [][2]string{
			{"203.0.113.1", "192.0.2.7:80"},      // a load balancer's address
			{"203.0.113.1", "192.168.0.1:30080"}, // a node port
			{"203.0.113.1", "192.168.0.1:8443"},  // a hostPort here
			{"203.0.113.1", "192.168.0.2:8443"},  // the same port of another node
			{"203.0.113.1", "10.96.0.20:80"},     // a cluster address
			{"shop/cart", "192.168.0.1:8443"},    // a pod
		} {
			text.WriteString(b.trace(t, c[0], c[1]) + "\n")
		}
		b.write(t, func(tx *state.Tx) { // backends elsewhere answer the client themselves
			row, _ := b.Tables.Frontends.One(tx, table.FrontendKey(table.Frontend{Address: addr("0.0.0.0"), Port: 30080, Protocol: 6, Scope: table.ScopeOutside}))
			row.Direct = true
			b.Tables.Frontends.Put(tx, row)
		})
		b.settle(t)
		text.WriteString(b.trace(t, "203.0.113.1", "192.168.0.1:30080") + "\n")
		w.admits = false
		text.WriteString(b.trace(t, "203.0.113.7", "192.0.2.7:80") + "\n") // not among the sources
	}
	goldentest.Equal(t, "testdata/outside.txt", text.String())
}

func TestAProcessOfTheNodeIsFollowedFromItsSocket(t *testing.T) {
	var text strings.Builder
	for _, attached := range []bool{true, false} {
		b, _ := newTraceBench(t, table.Setting{Name: "kube-proxy-replacement", Value: "true"})
		b.write(t, func(tx *state.Tx) { b.Tables.Sockets.Put(tx, table.Sockets{}) })
		s := b.db.Snapshot()
		b.write(t, func(tx *state.Tx) {
			row := status.Status{Table: b.Tables.Sockets.Name(), Key: table.SocketsKey, Done: attached, Err: "no control groups"}
			if attached {
				row.Rev, row.Err = b.Tables.Sockets.Revision(s, table.SocketsKey), ""
			}
			status.Statuses.Put(tx, row)
		})
		fmt.Fprintf(&text, "attached: %v\n\n", attached)
		for _, c := range [][2]string{
			{"host", "10.96.0.20:80"}, {"host", "127.0.0.1:30080"}, {"host", "10.96.0.10:53/udp"}, {"host", "10.96.0.20:81"}, {"shop/cart", "10.96.0.20:80"},
		} {
			text.WriteString(b.trace(t, c[0], c[1]) + "\n")
		}
	}
	goldentest.Equal(t, "testdata/socket.txt", text.String())
}

func TestTheSourcesOfAServiceAreComparedToo(t *testing.T) {
	b, w := newTraceBench(t, table.Setting{Name: "kube-proxy-replacement", Value: "true"})
	w.admits = false
	x, err := b.Trace("203.0.113.1", "192.0.2.7:80", "")
	want := []string{"192.0.2.7:80/tcp from outside: this client may not call it by map service_sources, and by the table this client may call it"}
	if err != nil || !slices.Equal(x.Faults, want) {
		t.Errorf("%v, %q", err, x.Faults)
	}
	h := b.kernel.held["192.0.2.7:80/tcp from outside"]
	h.Limited = false
	b.kernel.held["192.0.2.7:80/tcp from outside"] = h
	want = []string{"192.0.2.7:80/tcp from outside: map services says that all may call it, the table has 2 sources that may or may not call it"}
	if d := b.show(t); !slices.Equal(d.Faults, want) {
		t.Errorf("%q", d.Faults)
	}
}

func TestACallerIsToldOfARefusalAsTheConfigurationSays(t *testing.T) {
	b, _ := newTraceBench(t, table.Setting{Name: "service-no-backend-response", Value: "drop"})
	if text := b.trace(t, "shop/cart", "10.96.0.10:53/udp"); !strings.Contains(text, "hears: nothing") {
		t.Error(text)
	}
}

func TestAClientGoesWhereItWentBeforeWhileThatTakesCalls(t *testing.T) {
	b, w := newTraceBench(t)
	id := b.kernel.held["10.96.0.20:80/tcp"].ID
	var text strings.Builder
	for _, c := range []struct {
		backend uint32
		idle    time.Duration
	}{{0, 0}, {102, 20 * time.Second}, {102, 4 * time.Hour}, {101, time.Second}, {7, time.Second}} {
		w.kept[id], w.idle = c.backend, c.idle
		fmt.Fprintf(&text, "backend %d, %s ago\n%s\n", c.backend, c.idle, b.trace(t, "shop/cart", "10.96.0.20:80"))
	}
	goldentest.Equal(t, "testdata/affinity.txt", text.String())
}

func TestATraceTellsWhatTablesAndKernelDoNotAgreeAbout(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bench, w *ways)
		to     string
		want   []string
	}{
		"nothing": {func(*bench, *ways) {}, "10.96.0.20:80", nil},
		"a frontend is missing": {
			func(b *bench, _ *ways) { delete(b.kernel.held, "10.96.0.20:80/tcp") }, "10.96.0.20:80",
			[]string{"10.96.0.20:80/tcp: map services has no row for it"},
		},
		"a frontend is there": {
			func(b *bench, _ *ways) { b.kernel.held["203.0.113.1:80/tcp"] = Held{ID: 77} }, "203.0.113.1:80",
			[]string{"203.0.113.1:80/tcp is in map services, and the table does not have it: packets are translated that should not be"},
		},
		"a backend is another": {
			func(b *bench, _ *ways) {
				b.kernel.held["192.0.2.7:80/tcp"].Backends[0].Address = netip.MustParseAddrPort("10.244.9.9:8080")
			}, "192.0.2.7:80",
			[]string{"192.0.2.7:80/tcp: slot 0 leads to 10.244.9.9:8080, which the table does not have", "192.0.2.7:80/tcp: no slot leads to 10.244.1.7:8080"},
		},
		"a backend lives elsewhere": {
			func(_ *bench, w *ways) {
				w.places[addr("10.244.2.9")] = table.IPCacheRow{Identity: 301, Flags: table.IPCacheCluster, Tunnel: addr("192.168.0.3")}
			}, "10.96.0.20:80",
			[]string{"address 10.244.2.9: the kernel has identity 301, cluster, tunnel to 192.168.0.3, the table identity 301, cluster, tunnel to 192.168.0.2"},
		},
	} {
		b, w := newTraceBench(t)
		c.change(b, w)
		x, err := b.Trace("shop/cart", c.to, "")
		if err != nil || !slices.Equal(x.Faults, c.want) || len(x.Notes) > 0 {
			t.Errorf("%s: %v\nhave %q\nwant %q\nnotes %q", name, err, x.Faults, c.want, x.Notes)
		}
	}
}

func TestAddressesThatAreJustBeingWrittenAreNoFault(t *testing.T) {
	b, w := newTraceBench(t)
	w.places[addr("10.244.2.9")] = table.IPCacheRow{}
	b.write(t, func(tx *state.Tx) {
		b.Tables.IPCache.Put(tx, table.IPCacheRow{Prefix: netip.MustParsePrefix("10.244.2.11/32"), Identity: 301})
	})
	x, err := b.Trace("shop/cart", "10.96.0.20:80", "")
	if err != nil || len(x.Faults) > 0 || len(x.Notes) != 1 {
		t.Errorf("%v, faults %q, notes %q", err, x.Faults, x.Notes)
	}
}

func TestEachOfManyBackendsIsToldOf(t *testing.T) {
	b, _ := newTraceBench(t)
	b.write(t, func(tx *state.Tx) {
		row, _ := b.Tables.Frontends.One(tx, table.FrontendKey(table.Frontend{Address: addr("10.96.0.20"), Port: 80, Protocol: 6}))
		row.Backends = nil
		for i := range 1000 {
			a := netip.AddrFrom4([4]byte{10, 244, byte(3 + i/250), byte(1 + i%250)})
			row.Backends = append(row.Backends, table.Backend{Address: a, Port: 8080})
			b.Tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: fmt.Sprint("many-", i), Identity: 301, Addresses: []netip.Addr{a}, Node: addr("192.168.0.2")})
			b.Tables.IPCache.Put(tx, table.IPCacheRow{Prefix: netip.PrefixFrom(a, 32), Identity: 301, Flags: table.IPCacheCluster, Tunnel: addr("192.168.0.2")})
		}
		b.Tables.Frontends.Put(tx, row)
	})
	b.settle(t)
	b.write(t, func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: b.Tables.IPCache.Name(), Done: true, Rev: b.Tables.IPCache.LastRevision(tx)})
	})
	x, err := b.Trace("shop/cart", "10.96.0.20:80", "")
	if err != nil || len(x.Backends) != 1000 || len(x.Faults)+len(x.Notes) > 0 {
		t.Fatalf("%v, %d backends, %q, %q", err, len(x.Backends), x.Faults, x.Notes)
	}
	for i, one := range x.Backends {
		if one.Chance != 0.001 || one.Policy == nil || !one.Policy.Allowed || one.Policy.To.Name != fmt.Sprint("shop/many-", i) {
			t.Errorf("%+v", one)
		}
	}
}
