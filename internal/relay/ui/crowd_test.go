package ui

import (
	"context"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/tenancy"
)

// person may see all, and is called so.
type person string

func (p person) Name() string                            { return string(p) }
func (person) All(context.Context) (bool, error)         { return true, nil }
func (person) May(context.Context, string) (bool, error) { return true, nil }

type name struct{}

// slow gives flows when a test lets it.
type slow struct{ asked, let chan struct{} }

func (s slow) GetFlows(*observerpb.GetFlowsRequest, grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	s.asked <- struct{}{}
	<-s.let
	return nil
}

func (slow) List() ([]peers.Peer, <-chan struct{}) { return nil, nil }

func TestOneClientDoesNotHaveAllGraphsMadeForIt(t *testing.T) {
	flows := slow{make(chan struct{}, 10), make(chan struct{})}
	s := New(Options{Peers: flows, Flows: flows, Busy: 2, Graphs: 4, Reader: func(ctx context.Context) (tenancy.Reader, error) { return ctx.Value(name{}).(person), nil }})
	t.Cleanup(s.Close)
	ask := func(who person) error {
		_, err := s.Aggregate(context.WithValue(t.Context(), name{}, who), &observerv1.AggregateRequest{Filter: &observerv1.Filter{Whitelist: []*flowpb.FlowFilter{{SourceIp: []string{"10.0.0.1"}}}}})
		return err
	}
	done := make(chan error, 2)
	go func() { done <- ask("greedy") }()
	<-flows.asked
	if err := ask("greedy"); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("another graph for the same client: %v", err)
	}
	go func() { done <- ask("other") }()
	<-flows.asked
	close(flows.let)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
