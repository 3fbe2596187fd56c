package observe

import (
	"context"
	"slices"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
)

// Register has a server answer Hubble's clients.
func (o *Observer) Register(s grpc.ServiceRegistrar) {
	observerpb.RegisterObserverServer(s, &server{o: o})
}

// server is Hubble's observer.Observer.
type server struct {
	observerpb.UnimplementedObserverServer
	o *Observer
}

// GetFlows sends what is stored, and with follow what comes after it.
func (s *server) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	q, err := query.New(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	oldest, next := s.o.kept()
	switch {
	case q.Last():
		for _, f := range s.last(q, oldest, next) {
			if err := s.send(stream, q, f); err != nil {
				return err
			}
		}
	case q.Follow && q.Since.IsZero():
		// nothing of the past was asked for
	default:
		if done, err := s.forward(stream, q, oldest, next); done || err != nil {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	return s.followFrom(stream, q, next)
}

// last finds the last q.Number flows, and the news of losses between them, in the order in which they came.
func (s *server) last(q query.Query, oldest, next uint64) []*Flow {
	var (
		found []*Flow
		flows uint64
	)
	for n := next; n > oldest && flows < q.Number; n-- {
		f := s.o.journal.at(n - 1)
		if f == nil {
			break // overwritten while we looked, as is all that is older
		}
		if !takes(q, f) {
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
func (s *server) forward(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query.Query, oldest, next uint64) (done bool, err error) {
	var sent, gone uint64
	for n := oldest; n < next; n++ {
		f := s.o.journal.at(n)
		if f == nil {
			gone++ // overwritten while the client took its time
			continue
		}
		if gone > 0 {
			if err := s.missed(stream, gone); err != nil {
				return true, err
			}
			gone = 0
		}
		if !takes(q, f) {
			continue
		}
		if err := s.send(stream, q, f); err != nil {
			return true, err
		}
		if f.lost == nil {
			sent++
		}
		if q.Number > 0 && sent == q.Number {
			return true, nil
		}
	}
	if gone > 0 {
		return false, s.missed(stream, gone)
	}
	return false, nil
}

// followFrom sends what comes, until the client leaves or time until is over.
func (s *server) followFrom(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query.Query, next uint64) error {
	var over <-chan time.Time
	if !q.Until.IsZero() {
		timer := time.NewTimer(q.Until.Sub(s.o.o.Now()))
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
			if !takes(q, f) {
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
	return s.send(stream, query.Query{}, &Flow{time: s.o.o.Now(), lost: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n,
	}})
}

// takes tells whether an item is asked for. News of losses are for every client.
func takes(q query.Query, f *Flow) bool {
	if !q.Since.IsZero() && f.time.Before(q.Since) || !q.Until.IsZero() && f.time.After(q.Until) {
		return false
	}
	return f.lost != nil || q.Want(f.Message())
}

func (s *server) send(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query.Query, f *Flow) error {
	r := &observerpb.GetFlowsResponse{Time: timestamppb.New(f.time)}
	if f.lost == nil {
		r.NodeName = f.node.node
		r.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: q.Mask.Apply(f.Message())}
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

// Reason is the header that says why there are no events, and never are.
const Reason = "weftnet-reason"

// GetAgentEvents has none.
func (s *server) GetAgentEvents(_ *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	return stream.SetHeader(metadata.Pairs(Reason, "this agent keeps flows, no agent events: see `weft status` and the log of weft-agent"))
}

// GetDebugEvents has none.
func (s *server) GetDebugEvents(_ *observerpb.GetDebugEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetDebugEventsResponse]) error {
	return stream.SetHeader(metadata.Pairs(Reason, "the datapath has no debug events"))
}
