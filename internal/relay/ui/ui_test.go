package ui_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/relay"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/relay/ui"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/tenancy"
)

// boot is when the kernels of these tests did, which is so long ago as their clock says.
var (
	boot = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now  = boot.Add(time.Hour)
)

// cluster is agents with real observers, behind a relay.
type cluster struct {
	t      *testing.T
	kept   int
	tables *table.Tables
	db     *state.DB
	agents map[string]*agent
	all    *members
	stop   func() // the relay
	at     string // address of the relay
	client observerv1.ObserverClient
	hubble observerpb.ObserverClient
}

// agent is an observer whose kernel is a test.
type agent struct {
	flows *observe.Observer
	feed  *observetest.Feed
	conn  *grpc.ClientConn
	lost  func() // its server ends
}

// members are the agents that a relay knows.
type members struct {
	mu      sync.Mutex
	list    []peers.Peer
	changed chan struct{}
}

func (m *members) List() (all []peers.Peer, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list), m.changed
}

func (m *members) change(f func(list []peers.Peer) []peers.Peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = f(m.list)
	close(m.changed)
	m.changed = make(chan struct{})
}

const kept = 64

func newCluster(t *testing.T, names ...string) *cluster { return clusterOf(t, kept, names...) }

// clusterOf has agents that keep so many flows.
func clusterOf(t *testing.T, kept int, names ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, kept: kept, agents: map[string]*agent{}, all: &members{changed: make(chan struct{})}}
	c.tables, c.db = table.New()
	if err := c.db.Write(func(tx *state.Tx) error {
		c.tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: settings.Config{Identity: settings.Identity{ClusterName: "default"}}})
		for i, p := range [][3]string{{"shop", "web-1", "web"}, {"shop", "web-2", "web"}, {"data", "db-0", "db"}} {
			labels := identity.NewLabels(map[string]string{"k8s:app": p[2], "k8s:io.kubernetes.pod.namespace": p[0]})
			c.tables.Identities.Put(tx, table.Identity{Number: identity.Number(300 + i), Labels: labels})
			c.tables.Endpoints.Put(tx, table.Endpoint{Namespace: p[0], Name: p[1], Identity: identity.Number(300 + i), Addresses: []netip.Addr{address(i)}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		c.add(name)
	}
	c.restart()
	return c
}

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// Pods by number.
const (
	web1 = iota
	web2
	db0
	stranger
)

func (c *cluster) add(name string) {
	a := &agent{feed: observetest.NewFeed()}
	at := boot // it begins, and an hour later all else happens
	a.flows = observe.New(c.tables, c.db, observe.Options{Node: name, Capacity: c.kept, Now: func() time.Time { return at }, Mono: func() int64 { return int64(time.Hour) }})
	at = now
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.flows.Run(ctx, a.feed) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			c.t.Error(err)
		}
	})
	a.conn, a.lost = relaytest.Serve(c.t, nil, a.flows.Register)
	c.agents[name] = a
	c.all.change(func(list []peers.Peer) []peers.Peer {
		return append(list, peers.Peer{Name: name, Available: true, Conn: a.conn})
	})
}

// restart has another relay take the place of the one there is.
func (c *cluster) restart() {
	if c.stop != nil {
		c.stop()
	}
	r := relay.NewServer(c.all, relay.Options{Version: "v1", Answer: time.Minute, Window: 50 * time.Millisecond, Requests: 32, Waiting: 1, Gate: gate{}})
	u := ui.New(ui.Options{Peers: c.all, Flows: r, Reader: reader, Answer: time.Minute, Now: func() time.Time { return now }})
	c.t.Cleanup(u.Close)
	var conn *grpc.ClientConn
	conn, c.stop = relaytest.Serve(c.t, r.Interceptors(), func(g grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(g, r); u.Register(g) })
	c.at = conn.Target()
	c.client, c.hubble = observerv1.NewObserverClient(conn), observerpb.NewObserverClient(conn)
}

// gate lets a client see the namespaces that its token names; "all": all.
type gate struct{}

func (gate) Admit(_ context.Context, token string) (tenancy.Reader, error) {
	if token == "" || token == "none" {
		return nil, status.Error(codes.Unauthenticated, "no such token")
	}
	return tenant(token), nil
}

type tenant string

func (t tenant) Name() string                      { return string(t) }
func (t tenant) All(context.Context) (bool, error) { return t == "all", nil }
func (t tenant) May(_ context.Context, namespace string) (bool, error) {
	return t == "all" || slices.Contains(strings.Split(string(t), "+"), namespace), nil
}

func reader(ctx context.Context) (tenancy.Reader, error) {
	_, token, _ := strings.Cut(strings.Join(metadata.ValueFromIncomingContext(ctx, "authorization"), ""), " ")
	return gate{}.Admit(ctx, token)
}

func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// event has a node see a packet of web-1 to db-0, so many milliseconds before now, whose port is its number.
func (c *cluster) event(node string, before int, number uint16, change func(*abi.CloseEvent)) {
	e := abi.CloseEvent{Event: abi.Event{
		Time: uint64(time.Hour) - uint64(before)*uint64(time.Millisecond), Type: abi.EventDrop, Reason: abi.DropPolicy, Hook: abi.HookFromPod, Protocol: 6,
		SrcPort: number, DstPort: 5432, Src: abi.From(address(web1)), Dst: abi.From(address(db0)),
	}}
	if change != nil {
		change(&e)
	}
	c.agents[node].feed.Records <- observetest.Record(e)
}

// seen waits until what a node was told of is in its journal: it takes the next record then.
func (c *cluster) seen(node string) { c.agents[node].feed.Records <- []byte("no event") }

func port(f *flowpb.Flow) string {
	src, _, _ := flow.Ports(f)
	return fmt.Sprint(src)
}

func ports(list []*flowpb.Flow) (all []string) {
	for _, f := range list {
		all = append(all, port(f))
	}
	return all
}

// edges is a graph in a few words.
func edges(r *observerv1.AggregateResponse) (all []string) {
	for _, e := range r.GetEdges() {
		text := e.GetSource() + " -> " + e.GetDestination()
		for _, v := range e.GetVerdicts() {
			text += fmt.Sprintf(" %s:%d", v.GetVerdict(), v.GetFlows())
		}
		for _, d := range e.GetDrops() {
			text += fmt.Sprintf(" %s:%d", d.GetReason(), d.GetFlows())
		}
		if e.GetConnections() > 0 {
			text += fmt.Sprintf(" %d: %d bytes out, %d in", e.GetConnections(), e.GetSent().GetBytes(), e.GetReceived().GetBytes())
		}
		all = append(all, text)
	}
	return all
}

func closing(sent, received uint64) func(*abi.CloseEvent) {
	return func(e *abi.CloseEvent) {
		e.Event.Type, e.Event.Reason, e.Ending = abi.EventClose, 0, abi.EndingFin
		e.Sent, e.Received = abi.Carried{Packets: 1, Bytes: sent}, abi.Carried{Packets: 1, Bytes: received}
	}
}

func (c *cluster) aggregate(ctx context.Context, r *observerv1.AggregateRequest) *observerv1.AggregateResponse {
	c.t.Helper()
	out, err := c.client.Aggregate(ctx, r)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func TestAGraphIsOfAllNodesAndOfWhatComes(t *testing.T) {
	c := newCluster(t, "a", "b")
	from2 := func(e *abi.CloseEvent) { e.Event.Src = abi.From(address(web2)) }
	c.event("a", 5000, 1, nil)
	c.event("a", 4000, 2, from2)
	c.event("b", 3000, 3, closing(100, 2000))
	c.event("b", 2_000_000, 4, nil) // half an hour ago
	c.seen("a")
	c.seen("b")
	ctx := as(t.Context(), "all")
	for _, q := range []struct {
		name string
		r    *observerv1.AggregateRequest
		want []string
	}{
		{"workloads", &observerv1.AggregateRequest{}, []string{"workload:shop/web -> workload:data/db FORWARDED:1 DROPPED:2 POLICY_DENIED:2 1: 100 bytes out, 2000 in"}},
		{"pods", &observerv1.AggregateRequest{Level: observerv1.Level_LEVEL_POD}, []string{
			"pod:shop/web-1 -> pod:data/db-0 FORWARDED:1 DROPPED:1 POLICY_DENIED:1 1: 100 bytes out, 2000 in", "pod:shop/web-2 -> pod:data/db-0 DROPPED:1 POLICY_DENIED:1",
		}},
		{"namespaces of an hour", &observerv1.AggregateRequest{Level: observerv1.Level_LEVEL_NAMESPACE, Window: durationpb.New(time.Hour)}, []string{
			"namespace:shop -> namespace:data FORWARDED:1 DROPPED:3 POLICY_DENIED:3 1: 100 bytes out, 2000 in",
		}},
		{"of kinds of flows", &observerv1.AggregateRequest{Filter: &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{{SourcePod: []string{"shop/web-2"}}}}}, []string{
			"workload:shop/web -> workload:data/db DROPPED:1 POLICY_DENIED:1",
		}},
		{"of single flows", &observerv1.AggregateRequest{Filter: &observerv1.Filter{Blacklist: []*flowpb.FlowFilter{{SourcePort: []string{"2"}}}}}, []string{
			"workload:shop/web -> workload:data/db FORWARDED:1 DROPPED:1 POLICY_DENIED:1 1: 100 bytes out, 2000 in",
		}},
	} {
		r := c.aggregate(ctx, q.r)
		if have := edges(r); !slices.Equal(have, q.want) {
			t.Errorf("%s: have %q, want %q", q.name, have, q.want)
		}
	}
	for i := range 5 { // of what has come since: it is in the store at some time after it was seen
		c.event("a", 0, uint16(10+i), from2)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		have := edges(c.aggregate(ctx, &observerv1.AggregateRequest{Filter: &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{{SourcePod: []string{"shop/web-2"}}}}}))
		if slices.Equal(have, []string{"workload:shop/web -> workload:data/db DROPPED:6 POLICY_DENIED:6"}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("have %q", have)
		}
		c.seen("a")
	}
}

func TestRequestsThatMakeNoSenseNameTheirField(t *testing.T) {
	c := newCluster(t, "a")
	bad := &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{{}, {SourceIp: []string{"x"}}}}
	ctx := as(t.Context(), "all")
	for _, q := range []struct {
		field string
		r     any
	}{
		{"whitelist[1].source_ip", &observerv1.AggregateRequest{Filter: bad}},
		{"window", &observerv1.AggregateRequest{Window: durationpb.New(2 * time.Hour)}},
		{"window", &observerv1.AggregateRequest{Window: durationpb.New(-time.Second)}},
		{"level", &observerv1.AggregateRequest{Level: 77}},
		{"max_edges", &observerv1.AggregateRequest{MaxEdges: 1e6}},
		{"whitelist[1].source_ip", &observerv1.ListFlowsRequest{Filter: bad}},
		{"page_size", &observerv1.ListFlowsRequest{PageSize: 5000}},
		{"order", &observerv1.ListFlowsRequest{Order: 9}},
		{"cursor", &observerv1.ListFlowsRequest{Cursor: "AAAA"}},
		{"field mask", &observerv1.ListFlowsRequest{FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"nonsense"}}}},
		{"whitelist[1].source_ip", &observerv1.SubscribeRequest{Filter: bad}},
		{"cursor", &observerv1.SubscribeRequest{Cursor: "?"}},
	} {
		var err error
		switch r := q.r.(type) {
		case *observerv1.AggregateRequest:
			_, err = c.client.Aggregate(ctx, r)
		case *observerv1.ListFlowsRequest:
			_, err = c.client.ListFlows(ctx, r)
		case *observerv1.SubscribeRequest:
			var s grpc.ServerStreamingClient[observerv1.SubscribeResponse]
			if s, err = c.client.Subscribe(ctx, r); err == nil {
				_, err = s.Recv()
			}
		}
		if status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(status.Convert(err).Message(), q.field+":") {
			t.Errorf("%v: have %v, want an error that names %s", q.r, err, q.field)
		}
	}
	for _, token := range []string{"", "none"} {
		if _, err := c.client.Aggregate(as(t.Context(), token), &observerv1.AggregateRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("token %q: have %v", token, err)
		}
		if _, err := c.client.ListFlows(as(t.Context(), token), &observerv1.ListFlowsRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("token %q: have %v", token, err)
		}
		s, err := c.client.Subscribe(as(t.Context(), token), &observerv1.SubscribeRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("token %q: have %v", token, err)
		}
	}
}

func TestATenantSeesItsOwnEdgesAndOfOthersTheNamespace(t *testing.T) {
	c := newCluster(t, "a")
	c.event("a", 5000, 1, nil)
	c.event("a", 4000, 2, func(e *abi.CloseEvent) { e.Event.Dst = abi.From(address(web2)) })
	c.event("a", 3000, 3, func(e *abi.CloseEvent) {
		e.Event.Src = abi.From(address(db0))
		e.Event.Dst = abi.From(address(stranger))
	})
	c.seen("a")
	for token, want := range map[string][]string{
		"shop":      {"pod:shop/web-1 -> namespace:data DROPPED:1 POLICY_DENIED:1", "pod:shop/web-1 -> pod:shop/web-2 DROPPED:1 POLICY_DENIED:1"},
		"data":      {"namespace:shop -> pod:data/db-0 DROPPED:1 POLICY_DENIED:1", "pod:data/db-0 -> unknown DROPPED:1 POLICY_DENIED:1"},
		"elsewhere": nil,
	} {
		for _, f := range []*observerv1.Filter{nil, {Blacklist: []*flowpb.FlowFilter{{SourcePort: []string{"9"}}}}} {
			if have := edges(c.aggregate(as(t.Context(), token), &observerv1.AggregateRequest{Level: observerv1.Level_LEVEL_POD, Filter: f})); !slices.Equal(have, want) {
				t.Errorf("%s: have %q, want %q", token, have, want)
			}
		}
	}
}

type closeEvent = abi.CloseEvent

func abiFrom(pod int) abi.Addr { return abi.From(address(pod)) }

// again is another connection to an agent.
func (c *cluster) again(name string) *grpc.ClientConn {
	conn, err := grpc.NewClient(c.agents[name].conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}
