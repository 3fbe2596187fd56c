package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/credential"
	"weftnet.io/weftnet/internal/credential/credentialtest"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/observetest"
	"weftnet.io/weftnet/internal/observe/peer"
	"weftnet.io/weftnet/internal/observe/serve"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// epoch is when the kernels of these tests booted.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// cluster is a number of agents at loopback addresses, with certificates of one authority. All listen on one port.
type cluster struct {
	t      *testing.T
	tables *table.Tables // what all agents know
	db     *state.DB
	agents map[string]*agent
	port   string
	files  credential.Files // of a relay
	server credential.Files // of agents
}

// agent is an observer and its server.
type agent struct {
	flows *observe.Observer
	feed  *observetest.Feed
	at    netip.Addr
	stop  func() // its server
}

func newCluster(t *testing.T, names ...string) *cluster {
	t.Helper()
	ca := credentialtest.NewAuthority(t, "cilium-ca")
	c := &cluster{t: t, agents: map[string]*agent{}, server: ca.Write(t, t.TempDir(), "*.default.hubble-grpc.cilium.io"), files: ca.Write(t, t.TempDir(), "*.hubble-relay.cilium.io")}
	c.tables, c.db = table.New()
	// A port that is free at the first agent's address is at the others', which nothing else listens on.
	l, err := net.Listen("tcp", "127.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, c.port, _ = net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.write(func(tx *state.Tx) {
		c.tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: settings.Config{Identity: settings.Identity{ClusterName: "default"}}})
		c.tables.Configs.Put(tx, table.Config{Concern: settings.OfObservation, Settings: settings.Config{Observation: settings.Observation{FlowService: c.service("")}}})
		c.tables.Nodes.MarkSynced(tx)
	})
	for i, name := range names {
		a := &agent{feed: observetest.NewFeed(), at: netip.AddrFrom4([4]byte{127, 77, 0, byte(i + 1)})}
		a.flows = observe.New(c.tables, c.db, observe.Options{
			Node: name, Version: "v" + name, Capacity: 64,
			Now: func() time.Time { return epoch.Add(time.Hour) }, Mono: func() int64 { return int64(time.Hour) },
		})
		c.agents[name] = a
		run(t, func(ctx context.Context) error { return a.flows.Run(ctx, a.feed) })
		c.start(name)
		c.know(name)
	}
	return c
}

func (c *cluster) service(at string) settings.FlowService {
	return settings.FlowService{Address: at + ":" + c.port, Certificate: c.server.Certificate, Key: c.server.Key, ClientCAs: c.server.Authorities}
}

func (c *cluster) write(f func(tx *state.Tx)) {
	c.t.Helper()
	if err := c.db.Write(func(tx *state.Tx) error { f(tx); return nil }); err != nil {
		c.t.Fatal(err)
	}
}

// know has all agents know a node.
func (c *cluster) know(name string) {
	c.write(func(tx *state.Tx) {
		c.tables.Nodes.Put(tx, table.Node{Name: name, Addresses: []netip.Addr{c.agents[name].at}})
	})
}

// start has an agent serve.
func (c *cluster) start(name string) {
	a := c.agents[name]
	s := &serve.Server{Flows: a.flows, Peers: peer.New(c.tables, c.db), Log: slog.New(slog.DiscardHandler), Again: time.Millisecond}
	a.stop = run(c.t, func(ctx context.Context) error { return s.Network(ctx, c.service(a.at.String())) })
}

// event has the kernel of a node tell of a connection, so many milliseconds after epoch; its port is its number.
func (c *cluster) event(node string, ms int, number uint16) {
	e := abi.Event{
		Time: uint64(ms) * uint64(time.Millisecond), Type: abi.EventDrop, Reason: abi.DropPolicy, Hook: abi.HookFromPod, Protocol: 6, SrcPort: number, DstPort: 80,
		Src: abi.From(netip.MustParseAddr("10.0.0.5")), Dst: abi.From(netip.MustParseAddr("10.0.0.9")),
	}
	c.agents[node].feed.Records <- observetest.Record(e)
}

// run runs something until the test ends, or stop is called.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var over atomic.Bool
	stop = func() {
		cancel()
		if !over.CompareAndSwap(false, true) {
			return
		}
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// relay runs one that asks an agent for the nodes, and gives a client of it, once so many nodes are connected.
func (c *cluster) relay(connected int) observerpb.ObserverClient {
	c.t.Helper()
	pool := peers.New(peers.Options{
		Service: "127.77.0.1:" + c.port, ServiceName: "hubble-peer.default.hubble-grpc.cilium.io", Files: c.files, Retry: 10 * time.Millisecond,
	})
	run(c.t, pool.Run)
	c.connected(pool, connected)
	return c.client(pool, Options{Version: "v1"})
}

func (c *cluster) connected(pool *peers.Pool, want int) {
	c.t.Helper()
	deadline := time.After(time.Minute)
	for {
		all, changed := pool.List()
		n := 0
		for _, p := range all {
			if p.State.String() == "READY" {
				n++
			}
		}
		if n == want {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			c.t.Fatalf("never %d nodes are connected: %+v", want, all)
		}
	}
}

func (c *cluster) client(pool Peers, o Options) observerpb.ObserverClient {
	c.t.Helper()
	if o.Gate == nil {
		o.Gate = Open{}
	}
	relay := NewServer(pool, o)
	conn, _ := relaytest.Serve(c.t, relay.Interceptors(), relay.Register)
	return observerpb.NewObserverClient(conn)
}

// text is an answer in a few words: the number of a flow, or what is told of nodes.
func text(r *observerpb.GetFlowsResponse) string {
	switch {
	case r.GetFlow() != nil:
		port, _, _ := flow.Ports(r.GetFlow())
		return fmt.Sprint(port)
	case r.GetLostEvents() != nil:
		return fmt.Sprint("lost ", r.GetLostEvents().GetNumEventsLost())
	}
	n := r.GetNodeStatus()
	return strings.ToLower(strings.TrimPrefix(n.GetStateChange().String(), "NODE_")) + " " + strings.Join(n.GetNodeNames(), " ")
}

// ask collects an answer.
func ask(t *testing.T, c observerpb.ObserverClient, r *observerpb.GetFlowsRequest) (all []string, err error) {
	t.Helper()
	stream, err := c.GetFlows(t.Context(), r)
	if err != nil {
		return nil, err
	}
	for {
		one, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, text(one))
	}
}

// next is the next answer of a stream.
func next(t *testing.T, stream grpc.ServerStreamingClient[observerpb.GetFlowsResponse]) string {
	t.Helper()
	r, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return text(r)
}

// expect is what comes next.
func expect(t *testing.T, stream grpc.ServerStreamingClient[observerpb.GetFlowsResponse], wants ...string) {
	t.Helper()
	for _, want := range wants {
		if have := next(t, stream); have != want {
			t.Fatalf("have %s, want %s", have, want)
		}
	}
}

func at(ms int) *timestamppb.Timestamp {
	return timestamppb.New(epoch.Add(time.Duration(ms) * time.Millisecond))
}

func TestFlowsOfAllNodesAreInOneOrder(t *testing.T) {
	c := newCluster(t, "a", "b")
	for i := range 20 {
		node := "a"
		if i%3 == 0 {
			node = "b"
		}
		c.event(node, i, uint16(i+1))
	}
	for _, node := range []string{"a", "b"} { // those before are in the journal now
		c.event(node, 1000, 1000)
	}
	numbers := func(first, last int) (all []string) {
		for i := first; i <= last; i++ {
			all = append(all, fmt.Sprint(i))
		}
		return all
	}
	client := c.relay(2)
	for _, q := range []struct {
		name string
		r    *observerpb.GetFlowsRequest
		want []string
	}{
		{"between", &observerpb.GetFlowsRequest{Since: at(0), Until: at(19)}, numbers(1, 20)},
		{"last until", &observerpb.GetFlowsRequest{Number: 5, Until: at(19)}, numbers(16, 20)},
		{"more than there are", &observerpb.GetFlowsRequest{Number: 500, Until: at(19)}, numbers(1, 20)},
		{"all", &observerpb.GetFlowsRequest{Number: 1<<64 - 1, Until: at(19)}, numbers(1, 20)},
		{"first", &observerpb.GetFlowsRequest{Number: 5, First: true}, numbers(1, 5)},
		{"first since", &observerpb.GetFlowsRequest{Number: 3, First: true, Since: at(7)}, numbers(8, 10)},
		{"since", &observerpb.GetFlowsRequest{Since: at(15), Until: at(19)}, numbers(16, 20)},
		{"of one node", &observerpb.GetFlowsRequest{Number: 2, Until: at(19), Whitelist: []*flowpb.FlowFilter{{NodeName: []string{"default/b"}}}}, []string{"16", "19"}},
	} {
		have, err := ask(t, client, q.r)
		if want := append([]string{"connected a b"}, q.want...); err != nil || !slices.Equal(have, want) {
			t.Errorf("%s: have %q, %v, want %q", q.name, have, err, want)
		}
	}
	for _, q := range []struct {
		r    *observerpb.GetFlowsRequest
		want string
	}{
		{&observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{{SourceIp: []string{"x"}}}}, "whitelist[0].source_ip"},
		{&observerpb.GetFlowsRequest{First: true, Follow: true}, "first:"},
		{&observerpb.GetFlowsRequest{Number: mostLast + 1}, "number:"},
	} {
		if _, err := ask(t, client, q.r); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), q.want) {
			t.Errorf("have %v, want %s", err, q.want)
		}
	}
}

func TestAFollowerGetsTheLastFlowsAndThoseThatCome(t *testing.T) {
	c := newCluster(t, "a", "b")
	for i, node := range []string{"a", "b", "a", "b", "a"} {
		c.event(node, i, uint16(i+1))
	}
	c.event("b", 5, 6)
	client := c.relay(2)
	stream, err := client.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Number: 2, Follow: true, Since: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	// The last two are known once all have given theirs. An event may be on its way into the journal, so 5 is the least.
	if have := next(t, stream); have != "connected a b" {
		t.Errorf("have %s", have)
	}
	have := []string{next(t, stream), next(t, stream)}
	if !slices.Equal(have, []string{"5", "6"}) && !slices.Equal(have, []string{"4", "5"}) {
		t.Errorf("have %q", have)
	}
	c.event("b", 2000, 7)
	c.event("a", 2001, 8)
	for _, want := range []string{"7", "8"} {
		got := next(t, stream)
		for got == "6" {
			got = next(t, stream)
		}
		if got != want {
			t.Errorf("have %s, want %s", got, want)
		}
	}
}

func TestNodesThatGoAndComeBackAreTold(t *testing.T) {
	c := newCluster(t, "a", "b")
	client := c.relay(2)
	stream, err := client.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(wants ...string) { expect(t, stream, wants...) }
	expect("connected a b")
	c.agents["b"].stop()
	expect("error b", "unavailable b")
	c.event("b", 500, 5) // seen while nothing could be asked
	c.start("b")
	expect("connected b")
	c.event("a", 1000, 1)
	for have := next(t, stream); have != "1"; have = next(t, stream) {
		if have != "5" {
			t.Errorf("have %s", have)
		}
	}
	// A node that joins, and one that leaves for good.
	c.write(func(tx *state.Tx) { c.tables.Nodes.Delete(tx, state.Join("b")) })
	for have := ""; have != "gone b"; {
		if have = next(t, stream); !slices.Contains([]string{"error b", "gone b", "5"}, have) {
			t.Fatalf("have %s", have)
		}
	}
	c.know("b")
	expect("connected b")
}

func TestStatusNodesAndNamespacesAreThoseOfAll(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	for node, n := range map[string]int{"a": 3, "b": 2} {
		for i := range n {
			c.event(node, i, uint16(i))
		}
		// What comes after is in the journal no later than what it waits for.
		c.event(node, 10, 10)
		c.event(node, 11, 11)
	}
	client := c.relay(3)
	c.agents["c"].stop()
	stream, err := client.GetFlows(t.Context(), &observerpb.GetFlowsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for away := false; !away; { // until the relay has noticed
		away = strings.Contains(next(t, stream), "unavailable c")
	}
	r, err := client.ServerStatus(t.Context(), &observerpb.ServerStatusRequest{})
	if err != nil || r.GetNumConnectedNodes().GetValue() != 2 || r.GetNumUnavailableNodes().GetValue() != 1 || !slices.Equal(r.GetUnavailableNodes(), []string{"c"}) {
		t.Errorf("have %v, %v", r, err)
	}
	if n := r.GetSeenFlows(); r.GetMaxFlows() != 128 || n < 7 || n > 9 || r.GetVersion() != "v1" {
		t.Errorf("have %v", r)
	}
	nodes, err := client.GetNodes(t.Context(), &observerpb.GetNodesRequest{})
	if err != nil || len(nodes.GetNodes()) != 3 {
		t.Fatalf("have %v, %v", nodes, err)
	}
	for i, want := range []relaypb.NodeState{relaypb.NodeState_NODE_CONNECTED, relaypb.NodeState_NODE_CONNECTED, relaypb.NodeState_NODE_UNAVAILABLE} {
		n := nodes.GetNodes()[i]
		if n.GetState() != want || n.GetTls().GetServerName() != n.GetName()+".default.hubble-grpc.cilium.io" || want == relaypb.NodeState_NODE_CONNECTED && n.GetVersion() != "v"+n.GetName() {
			t.Errorf("have %v", n)
		}
	}
	if r, err := client.GetNamespaces(t.Context(), &observerpb.GetNamespacesRequest{}); err != nil || len(r.GetNamespaces()) != 0 {
		t.Errorf("have %v, %v", r, err)
	}
	events, err := client.GetAgentEvents(t.Context(), &observerpb.GetAgentEventsRequest{Number: 1000})
	of := map[string]bool{}
	for err == nil {
		var one *observerpb.GetAgentEventsResponse
		if one, err = events.Recv(); err == nil {
			of[one.GetNodeName()] = true
		}
	}
	if told := events.Trailer().Get(reason); !errors.Is(err, io.EOF) || !of["default/a"] || !of["default/b"] || len(told) != 1 || !strings.Contains(told[0], "no agent events of c:") {
		t.Errorf("events of %v, %q, %v", of, told, err)
	}
	debug, err := client.GetDebugEvents(t.Context(), &observerpb.GetDebugEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := debug.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("have %v", err)
	}
	if told, err := debug.Header(); err != nil || len(told.Get(reason)) != 1 {
		t.Errorf("have %v, %v", told, err)
	}
}

// stuck is an agent that never answers.
type stuck struct {
	observerpb.UnimplementedObserverServer
}

func (stuck) GetFlows(_ *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	<-stream.Context().Done()
	return nil
}

func TestANodeThatNeverAnswersCostsItsOwnFlowsOnly(t *testing.T) {
	c := newCluster(t, "a")
	c.event("a", 1, 1)
	c.event("a", 2, 2)
	c.event("a", 3, 3) // those before are in the journal now
	silent, _ := relaytest.Serve(t, nil, func(s grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(s, stuck{}) })
	dial := func(address string, o credentials.TransportCredentials) *grpc.ClientConn {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(o), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_, _ = observerpb.NewObserverClient(conn).ServerStatus(t.Context(), &observerpb.ServerStatusRequest{}) // it is connected now
		return conn
	}
	client := c.client(peers.Fixed{
		{Name: "a", Available: true, Conn: dial("127.77.0.1:"+c.port, c.files.Client("a.default.hubble-grpc.cilium.io"))},
		{Name: "stuck", Available: true, Conn: dial(silent.Target(), insecure.NewCredentials())},
	}, Options{Answer: 3 * time.Second})
	have, err := ask(t, client, &observerpb.GetFlowsRequest{Number: 2, Until: at(2)})
	if want := []string{"connected a stuck", "error stuck", "1", "2"}; err != nil || !slices.Equal(have, want) {
		t.Errorf("have %q, %v, want %q", have, err, want)
	}
}

func TestARelayOfAnotherAuthorityGetsNothing(t *testing.T) {
	c := newCluster(t, "a")
	stranger := credentialtest.NewAuthority(t, "stranger").Write(t, t.TempDir(), "*.hubble-relay.cilium.io")
	stranger.Authorities = c.files.Authorities
	c.relay(1) // the agent listens
	said := make(lines, 100)
	pool := peers.New(peers.Options{
		Service: "127.77.0.1:" + c.port, ServiceName: "hubble-peer.default.hubble-grpc.cilium.io", Files: stranger, Retry: time.Hour,
		Log: slog.New(slog.NewTextHandler(said, nil)),
	})
	run(t, pool.Run)
	if line := <-said; !strings.Contains(line, "no agent tells which nodes there are") { // why depends on which end hears first that the other has closed
		t.Errorf("it says %s", line)
	}
	if all, _ := pool.List(); len(all) > 0 {
		t.Errorf("it was told of %v", all)
	}
}

// lines is a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }
