package relay

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

// How long an agent looks for flows of a namespace, and how many it sends to the relay, is seen in how long an answer takes. So it depends on
// no namespace that the client may not see.
func TestAgentsDoNoMoreAndNoLessForTheNamespaceOfAnother(t *testing.T) {
	h := newHall(t, rights{"a": tenancytest.Sees})
	asked := func(f *flowpb.FlowFilter) string {
		t.Helper()
		stream, err := h.client.GetFlows(as(t.Context(), "a"), &observerpb.GetFlowsRequest{Whitelist: []*flowpb.FlowFilter{f}})
		for err == nil {
			_, err = stream.Recv()
		}
		if err != io.EOF { //nolint:errorlint // of gRPC it is as it is
			t.Fatal(err)
		}
		last := h.agents[0].Asked()
		var text []string
		for _, f := range last[len(last)-1].GetWhitelist() {
			text = append(text, strings.Join(f.GetSourcePod(), ",")+">"+strings.Join(f.GetDestinationPod(), ","))
		}
		return strings.Join(text, " ")
	}
	for _, c := range []struct {
		filter *flowpb.FlowFilter
		want   string
	}{
		{&flowpb.FlowFilter{SourcePod: []string{"a/web"}}, "a/>"},
		{&flowpb.FlowFilter{SourcePod: []string{"b/db"}}, ""},
		{&flowpb.FlowFilter{SourcePod: []string{"a/web", "none/"}}, ""},
		{&flowpb.FlowFilter{SourcePod: []string{"a/web"}, DestinationPod: []string{"b/"}}, "a/>"},
		{&flowpb.FlowFilter{SourcePod: []string{"b/"}, DestinationPod: []string{"a/"}}, ">a/"},
		{&flowpb.FlowFilter{SourcePod: strings.Split(strings.Repeat("a/ ", 30), " ")[:30]}, ""},
	} {
		if have := asked(c.filter); have != c.want {
			t.Errorf("%v: agents are asked for %q, want %q", c.filter, have, c.want)
		}
	}
}

// endless is an agent that never ends.
type endless struct {
	observerpb.UnimplementedObserverServer
	asked chan struct{}
}

func (e endless) GetFlows(_ *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	e.asked <- struct{}{}
	<-stream.Context().Done()
	return nil
}

func (endless) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	return &observerpb.ServerStatusResponse{}, nil
}

// Each status of a client that may not see everything has every agent give all that it keeps, and any pod has a token.
func TestStatusesCountAsRequestsForFlows(t *testing.T) {
	agent := endless{asked: make(chan struct{}, 100)}
	conn, _ := relaytest.Serve(t, nil, func(s grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(s, agent) })
	s := NewServer(peers.Fixed{peers.Peer{Name: "n1", Available: true, Conn: conn}}, Options{Answer: time.Minute, Requests: 4, Gate: rights{"a": tenancytest.Sees}})
	to, _ := relaytest.Serve(t, s.Interceptors(), func(g grpc.ServiceRegistrar) { s.Register(g) })
	client := observerpb.NewObserverClient(to)
	ctx, cancel := context.WithCancel(as(t.Context(), "a"))
	done := make(chan error)
	go func() {
		_, err := client.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
		done <- err
	}()
	<-agent.asked
	if _, err := client.ServerStatus(ctx, &observerpb.ServerStatusRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second one: %v", err)
	}
	if _, err := client.GetNodes(ctx, &observerpb.GetNodesRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("the nodes: %v", err)
	}
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}
