package observe

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
)

// Serve answers Hubble clients on the listener until the context ends. It closes the listener.
func (o *Observer) Serve(ctx context.Context, listener net.Listener) error {
	s := grpc.NewServer()
	observerpb.RegisterObserverServer(s, &server{o: o})
	healthpb.RegisterHealthServer(s, health.NewServer()) // `hubble status` asks it first
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	if err := s.Serve(listener); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve flows on %s: %w", listener.Addr(), err)
	}
	return nil
}

// server is Hubble's observer.Observer. What it does not serve (agent and debug events) answers Unimplemented.
type server struct {
	observerpb.UnimplementedObserverServer
	o *Observer
}

// query is a GetFlows request, checked.
type query struct {
	want         filter.Func
	mask         flow.Mask
	number       uint64 // 0: no limit
	first        bool
	follow       bool
	since, until time.Time // zero: none
}

func newQuery(r *observerpb.GetFlowsRequest) (query, error) {
	q := query{number: r.GetNumber(), first: r.GetFirst(), follow: r.GetFollow()}
	var err error
	if q.want, err = filter.New(r.GetWhitelist(), r.GetBlacklist()); err != nil {
		return query{}, err
	}
	if q.mask, err = flow.NewMask(r.GetFieldMask().GetPaths()); err != nil {
		return query{}, err
	}
	for _, bound := range []struct {
		name string
		at   *timestamppb.Timestamp
		to   *time.Time
	}{{"since", r.GetSince(), &q.since}, {"until", r.GetUntil(), &q.until}} {
		if bound.at == nil {
			continue
		}
		if err := bound.at.CheckValid(); err != nil {
			return query{}, fmt.Errorf("%s: %w", bound.name, err)
		}
		*bound.to = bound.at.AsTime()
	}
	switch {
	case q.first && q.follow:
		return query{}, fmt.Errorf("first: asks for the oldest flows, follow for those to come; say one of them")
	case !q.since.IsZero() && !q.until.IsZero() && q.until.Before(q.since):
		return query{}, fmt.Errorf("until: %s is before since %s", q.until.Format(time.RFC3339), q.since.Format(time.RFC3339))
	}
	return q, nil
}

// GetFlows sends what is stored, and with follow what comes after it.
func (s *server) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	q, err := newQuery(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	oldest, next := s.o.kept()
	switch {
	case q.number > 0 && !q.first:
		for _, f := range s.last(q, oldest, next) {
			if err := s.send(stream, q, f); err != nil {
				return err
			}
		}
	case q.follow && q.since.IsZero():
		// nothing of the past was asked for
	default:
		if done, err := s.forward(stream, q, oldest, next); done || err != nil {
			return err
		}
	}
	if !q.follow {
		return nil
	}
	return s.followFrom(stream, q, next)
}

// last finds the last q.number flows, and the news of losses between them, in the order in which they came.
func (s *server) last(q query, oldest, next uint64) []*Flow {
	var (
		found []*Flow
		flows uint64
	)
	for n := next; n > oldest && flows < q.number; n-- {
		f := s.o.journal.at(n - 1)
		if f == nil {
			break // overwritten while we looked, as is all that is older
		}
		if !q.takes(f) {
			continue
		}
		if f.lost == nil {
			flows++
		}
		found = append(found, f)
	}
	slices.Reverse(found)
	return found
}

// forward sends from the oldest on; done tells that the request is answered.
func (s *server) forward(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query, oldest, next uint64) (done bool, err error) {
	var sent uint64
	for n := oldest; n < next; n++ {
		f := s.o.journal.at(n)
		if f == nil || !q.takes(f) {
			continue
		}
		if err := s.send(stream, q, f); err != nil {
			return true, err
		}
		if f.lost == nil {
			sent++
		}
		if q.number > 0 && sent == q.number {
			return true, nil
		}
	}
	return false, nil
}

// followFrom sends what comes, until the client leaves or time until is over.
func (s *server) followFrom(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query, next uint64) error {
	var over <-chan time.Time
	if !q.until.IsZero() {
		timer := time.NewTimer(q.until.Sub(s.o.o.Now()))
		defer timer.Stop()
		over = timer.C
	}
	place := &cursor{s.o.journal, s.o.o.Capacity, next}
	for {
		select {
		case <-stream.Context().Done():
			return nil // the client knows best why
		case <-over:
			return nil
		case <-place.wait():
		}
		err := place.read(func(f *Flow) error {
			if !q.takes(f) {
				return nil
			}
			return s.send(stream, q, f)
		}, func(n uint64) error { return s.missed(stream, n) })
		if err != nil {
			return err
		}
	}
}

// missed tells a client that it was too slow.
func (s *server) missed(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], n uint64) error {
	s.o.losses[lostByFollower].Add(n)
	return s.send(stream, query{}, &Flow{time: s.o.o.Now(), lost: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n,
	}})
}

// takes tells whether an item is asked for. News of losses are for every client.
func (q query) takes(f *Flow) bool {
	if !q.since.IsZero() && f.time.Before(q.since) || !q.until.IsZero() && f.time.After(q.until) {
		return false
	}
	return f.lost != nil || q.want(f.Message())
}

func (s *server) send(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query, f *Flow) error {
	r := &observerpb.GetFlowsResponse{Time: timestamppb.New(f.time)}
	if f.lost == nil {
		r.NodeName = f.node.node
		r.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: q.mask.Apply(f.Message())}
	} else {
		r.NodeName = s.o.nodeName(s.o.db.Snapshot())
		r.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: f.lost}
	}
	return stream.Send(r)
}

// ServerStatus tells how full the store is.
func (s *server) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	now := s.o.o.Now()
	uptime := now.Sub(s.o.started)
	oldest, next := s.o.kept()
	return &observerpb.ServerStatusResponse{
		NumFlows: next - oldest, MaxFlows: uint64(s.o.o.Capacity), SeenFlows: s.o.seen.Load(),
		UptimeNs: uint64(uptime), Version: s.o.o.Version, FlowsRate: s.o.rate.perSecond(now, uptime),
	}, nil
}

// GetNodes knows this node alone; a relay knows all.
func (s *server) GetNodes(ctx context.Context, _ *observerpb.GetNodesRequest) (*observerpb.GetNodesResponse, error) {
	self, err := s.ServerStatus(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &observerpb.GetNodesResponse{Nodes: []*observerpb.Node{{
		Name: s.o.nodeName(s.o.db.Snapshot()), Version: s.o.o.Version, State: relaypb.NodeState_NODE_CONNECTED, UptimeNs: self.GetUptimeNs(),
		NumFlows: self.GetNumFlows(), MaxFlows: self.GetMaxFlows(), SeenFlows: self.GetSeenFlows(),
	}}}, nil
}

// GetNamespaces lists the namespaces that had flows in the last hour.
func (s *server) GetNamespaces(context.Context, *observerpb.GetNamespacesRequest) (*observerpb.GetNamespacesResponse, error) {
	r := &observerpb.GetNamespacesResponse{}
	cluster := s.o.tables.Config(s.o.db.Snapshot()).ClusterName
	for _, name := range s.o.recent(s.o.o.Now()) {
		r.Namespaces = append(r.Namespaces, &observerpb.Namespace{Cluster: cluster, Namespace: name})
	}
	return r, nil
}

// GetAgentEvents is not served.
func (s *server) GetAgentEvents(*observerpb.GetAgentEventsRequest, grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	return status.Error(codes.Unimplemented, "this agent keeps flows, no agent events: see `weft status` and the log of weft-agent")
}

// GetDebugEvents is not served.
func (s *server) GetDebugEvents(*observerpb.GetDebugEventsRequest, grpc.ServerStreamingServer[observerpb.GetDebugEventsResponse]) error {
	return status.Error(codes.Unimplemented, "the datapath has no debug events")
}
