package ui

import (
	"context"
	"fmt"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

// reasons are what it means for flows that a node is in a state; empty: nothing is missing.
var reasons = map[relaypb.NodeState]string{
	relaypb.NodeState_NODE_UNAVAILABLE: "the node is away",
	relaypb.NodeState_NODE_GONE:        "the node is gone",
	relaypb.NodeState_NODE_ERROR:       "the node has ended the request",
}

func reasonOf(source flowpb.LostEventSource) string {
	switch source {
	case flowpb.LostEventSource_HUBBLE_RING_BUFFER:
		return "they were overwritten before they were read: too many came, or they were read too slowly"
	case flowpb.LostEventSource_PERF_EVENT_RING_BUFFER:
		return "the datapath held them back: too many came"
	}
	return "they were lost on the way"
}

// margin is how much longer than asked for an agent must have kept flows, since it may overwrite some before it is asked for them.
const margin = time.Second

// reach tells whether an agent still has all flows since a time; if not it says why, and since when it has.
func (s *Server) reach(ctx context.Context, c observerpb.ObserverClient, since time.Time) (from time.Time, why string, err error) {
	told, err := c.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
	if err != nil {
		return from, "", err
	}
	started := s.o.Now().Add(-time.Duration(told.GetUptimeNs()))
	if told.GetNumFlows() < told.GetMaxFlows() || told.GetSeenFlows() <= told.GetNumFlows() { // nothing was overwritten
		if started.After(since) {
			return started, fmt.Sprintf("its agent began at %s, and knows no flow from before", clock(started)), nil
		}
		return from, "", nil
	}
	oldest, err := one(ctx, c, &observerpb.GetFlowsRequest{Number: 1, First: true, FieldMask: &fieldmaskpb.FieldMask{Paths: []string{"time"}}})
	if err != nil {
		return from, "", err
	}
	if at := oldest.GetTime().AsTime(); oldest == nil || at.Add(margin).After(since) {
		return at, fmt.Sprintf("its agent keeps the last %d flows, which begin at %s", told.GetMaxFlows(), clock(at)), nil
	}
	return from, "", nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// one is the first flow of an answer; nil: there is none.
func one(ctx context.Context, c observerpb.ObserverClient, r *observerpb.GetFlowsRequest) (*observerpb.GetFlowsResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.GetFlows(ctx, r)
	if err != nil {
		return nil, err
	}
	for {
		got, err := stream.Recv()
		if err != nil {
			return nil, end(err)
		}
		if got.GetFlow() != nil {
			return got, nil
		}
	}
}

// gaps tells which agents do not have all flows since a time any more.
func (s *Server) gaps(ctx context.Context, since time.Time) (list []*observerv1.Missing) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Answer)
	defer cancel()
	all, _ := s.o.Peers.List()
	found := make([]*observerv1.Missing, len(all))
	var asking sync.WaitGroup
	for i, p := range all {
		if !p.Available {
			continue // GetFlows tells of those
		}
		asking.Go(func() {
			_, why, err := s.reach(ctx, observerpb.NewObserverClient(p.Conn), since)
			if err == nil && why != "" {
				found[i] = &observerv1.Missing{Node: p.Name, Reason: why}
			}
		})
	}
	asking.Wait()
	for _, m := range found {
		if m != nil {
			list = append(list, m)
		}
	}
	return list
}
