package observe

import (
	"context"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/observe/agentevent"
	"weftnet.io/weftnet/internal/observe/journal"
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
	return s.o.journal.Answer(stream.Context(), span(q), journal.Reader[Flow]{
		Wants:  func(f *Flow) bool { return f.lost != nil || q.Want(f.Message()) }, // news of losses are for every client
		Counts: func(f *Flow) bool { return f.lost == nil },
		Send:   func(f *Flow) error { return s.send(stream, q, f) },
		Missed: func(n uint64) error { return s.missed(stream, n) },
		Now:    s.o.o.Now,
	})
}

func span(q query.Query) journal.Range {
	return journal.Range{Number: q.Number, First: q.First, Follow: q.Follow, Since: q.Since, Until: q.Until}
}

// missed tells a client that it was too slow.
func (s *server) missed(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], n uint64) error {
	s.o.losses[lostByFollower].Add(n)
	return s.send(stream, query.Query{}, &Flow{Entry: journal.Entry{At: s.o.o.Now()}, lost: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n,
	}})
}

func (s *server) send(stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse], q query.Query, f *Flow) error {
	r := &observerpb.GetFlowsResponse{Time: timestamppb.New(f.At)}
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
	oldest, next := s.o.journal.Kept()
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

// GetAgentEvents sends what the agent did.
func (s *server) GetAgentEvents(r *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	q, err := query.Bounds(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	send := func(e *agentevent.Event) error {
		return stream.Send(&observerpb.GetAgentEventsResponse{
			AgentEvent: e.Message, NodeName: s.o.nodeName(s.o.db.Snapshot()), Time: timestamppb.New(e.At),
		})
	}
	return s.o.events.Journal.Answer(stream.Context(), span(q), journal.Reader[agentevent.Event]{
		Send: send, Missed: func(n uint64) error { return send(agentevent.Missed(n, s.o.o.Now())) }, Now: s.o.o.Now,
	})
}

// Reason is the header that says why there are no events, and never are.
const Reason = "weftnet-reason"

// GetDebugEvents has none.
func (s *server) GetDebugEvents(_ *observerpb.GetDebugEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetDebugEventsResponse]) error {
	return stream.SetHeader(metadata.Pairs(Reason, "the datapath has no debug events"))
}
