package ui_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay/peers"
)

// account is what a client of GetFlows has been given, and told that it lost.
type account struct{ flows, lost uint64 }

func (a *account) take(r *observerpb.GetFlowsResponse) {
	if r.GetFlow() != nil {
		a.flows++
	}
	a.lost += r.GetLostEvents().GetNumEventsLost()
}

// begun waits until a client that follows is known to follow all nodes: an event of each has reached it.
func begun(t *testing.T, c *cluster, s grpc.ServerStreamingClient[observerpb.GetFlowsResponse]) {
	t.Helper()
	for seen := map[string]bool{}; len(seen) < len(c.agents); {
		for name := range c.agents {
			if !seen[name] {
				c.event(name, 0, 1, nil)
			}
		}
		for range len(c.agents) - len(seen) {
			r, err := s.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if r.GetFlow() != nil {
				seen[strings.TrimPrefix(r.GetNodeName(), "default/")] = true
			}
		}
	}
}

// A thousand requests, none of which is ever read, do not keep an agent from taking in what its kernel says, nor a client that reads from
// getting all of it.
func TestClientsThatNeverReadHoldUpNoOther(t *testing.T) {
	const crowd, flows = 1000, 4000
	c := clusterOf(t, 4096, "a", "b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	good, err := c.hubble.GetFlows(as(ctx, "all"), &observerpb.GetFlowsRequest{Follow: true, Since: timestamppb.New(boot)})
	if err != nil {
		t.Fatal(err)
	}
	begun(t, c, good)
	stuck, refused := 0, 0
	for i := range crowd {
		token := fmt.Sprintf("shop+client%d", i%20)
		var answered error
		if i%2 == 0 {
			s, err := c.hubble.GetFlows(as(ctx, token), &observerpb.GetFlowsRequest{Follow: true, Since: timestamppb.New(boot)})
			if err == nil {
				_, err = s.Recv() // it is let in, or it is not; nothing more is read
			}
			answered = err
		} else {
			s, err := c.client.Subscribe(as(ctx, token), &observerv1.SubscribeRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			answered = err
		}
		switch status.Code(answered) {
		case codes.OK:
			stuck++
		case codes.ResourceExhausted:
			refused++
		default:
			t.Fatal(answered)
		}
	}
	if stuck < 30 || refused != crowd-stuck {
		t.Errorf("%d are let in, %d are not", stuck, refused)
	}
	fed, have := uint64(0), account{}
	for fed < flows {
		for range 500 {
			c.event([]string{"a", "b"}[fed%2], 0, 7, nil) // an agent that is held up would not take it
			fed++
		}
		for have.flows+have.lost < fed {
			r, err := good.Recv()
			if err != nil {
				t.Fatal(err)
			}
			have.take(r)
		}
	}
	if have.lost > 0 {
		t.Errorf("the client that reads has %d flows, and lost %d", have.flows, have.lost)
	}
}

// A client that did not read for long is told of each flow that it is not given.
func TestAClientThatWasStuckIsToldWhatItLost(t *testing.T) {
	const flows = 30_000
	c := clusterOf(t, 512, "a")
	slow, err := c.hubble.GetFlows(as(t.Context(), "all"), &observerpb.GetFlowsRequest{Follow: true, Since: timestamppb.New(boot)})
	if err != nil {
		t.Fatal(err)
	}
	begun(t, c, slow)
	for i := range flows {
		c.event("a", 0, uint16(i), nil)
	}
	c.seen("a")
	have := account{}
	for have.flows+have.lost < flows {
		r, err := slow.Recv()
		if err != nil {
			t.Fatal(err)
		}
		have.take(r)
	}
	if have.flows+have.lost != flows || have.lost == 0 {
		t.Errorf("of %d flows %d came, and %d are told to be lost", flows, have.flows, have.lost)
	}
}

// A node that goes in the midst of everything costs its own flows, and that is told; others go on, and a graph is made.
func TestARelaySurvivesTheLossOfNodes(t *testing.T) {
	c := newCluster(t, "a", "b")
	ctx := as(t.Context(), "all")
	stream, err := c.hubble.GetFlows(ctx, &observerpb.GetFlowsRequest{Follow: true, Since: timestamppb.New(boot)})
	if err != nil {
		t.Fatal(err)
	}
	begun(t, c, stream)
	c.aggregate(ctx, &observerv1.AggregateRequest{})
	c.agents["b"].lost()
	c.all.change(func(list []peers.Peer) []peers.Peer {
		out := append([]peers.Peer(nil), list...)
		out[1].Available = false
		return out
	})
	away := false
	for !away {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		away = r.GetNodeStatus().GetStateChange() == relaypb.NodeState_NODE_UNAVAILABLE || r.GetNodeStatus().GetStateChange() == relaypb.NodeState_NODE_ERROR
	}
	c.event("a", 0, 77, nil)
	for got := ""; got != "77"; {
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if r.GetFlow() != nil {
			got = port(r.GetFlow())
		}
	}
	for said := ""; !strings.Contains(said, "b: the node is away"); {
		r := c.aggregate(ctx, &observerv1.AggregateRequest{})
		if said = told(r.GetMissing()); len(r.GetEdges()) != 1 {
			t.Fatalf("have %v", r)
		}
	}
	page, err := c.client.ListFlows(ctx, &observerv1.ListFlowsRequest{Filter: &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{{SourcePort: []string{"77"}}}}})
	if err != nil || len(page.GetFlows()) != 1 || !strings.Contains(told(page.GetMissing()), "b: the node is away") {
		t.Errorf("have %v, %v", page, err)
	}
}

// What speaks no gRPC, or says too much, is given nothing that is of flows, and others are served meanwhile.
func TestClientsThatTalkNonsenseGetNothing(t *testing.T) {
	c := newCluster(t, "a")
	c.event("a", 1000, 4711, nil)
	c.seen("a")
	for name, said := range map[string]string{
		"HTTP/1.1":         "GET /weftnet.observer.v1.Observer/ListFlows HTTP/1.1\r\nHost: relay\r\n\r\n",
		"TLS":              "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500),
		"zeros":            strings.Repeat("\x00", 100_000),
		"half a preface":   "PRI * HTTP/2.0\r\n\r\nSM",
		"frames of random": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff\xfe\x01", 10_000),
	} {
		conn, err := net.Dial("tcp", c.at)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, said) // the other end may have had enough
		_ = conn.(*net.TCPConn).CloseWrite()
		heard, err := io.ReadAll(conn)
		conn.Close()
		if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		if len(heard) > 1000 || strings.Contains(string(heard), "web-1") || strings.Contains(string(heard), "shop") {
			t.Errorf("%s: heard %q", name, heard)
		}
	}
	page, err := c.client.ListFlows(as(t.Context(), "all"), &observerv1.ListFlowsRequest{})
	if err != nil || len(page.GetFlows()) != 1 {
		t.Errorf("have %v, %v", page, err)
	}
	// A request that is too large is refused, and no memory is kept for it.
	f := &flowpb.FlowFilter{SourcePod: []string{strings.Repeat("x", 8<<20)}}
	if _, err := c.client.ListFlows(as(t.Context(), "all"), &observerv1.ListFlowsRequest{Filter: &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{f}}}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("have %v", err)
	}
}
