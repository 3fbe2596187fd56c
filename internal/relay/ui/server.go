package ui

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay/crowd"
	"weftnet.io/weftnet/internal/relay/frame"
	"weftnet.io/weftnet/internal/relay/graph"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/tap"
	"weftnet.io/weftnet/internal/tenancy"
)

// Peers are the agents.
type Peers interface {
	// List gives all in the order of names, and a channel that closes when that changes.
	List() (all []peers.Peer, changed <-chan struct{})
}

// Flows gives those of all agents, as the client of the stream's context may see them.
type Flows interface {
	GetFlows(*observerpb.GetFlowsRequest, grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error
}

// Options of a server; those that are 0 have their defaults.
type Options struct {
	Peers  Peers
	Flows  Flows
	Taps   *tap.Taps                                     // streams of agents that are shared with others; nil: none is
	Reader func(context.Context) (tenancy.Reader, error) // the client of a request
	Limits graph.Limits                                  // of the store
	Answer time.Duration                                 // within which an agent answers: 5 s
	Idle   time.Duration                                 // after which the store is forgotten when nothing asks for it: 10 minutes
	Busy   int                                           // graphs that are made at a time: 2
	Graphs int                                           // requests for a graph that are here at a time, a quarter of them one client's: 32
	Now    func() time.Time                              // nil: time.Now
	Log    *slog.Logger
}

// Server answers clients.
type Server struct {
	observerv1.UnimplementedObserverServer
	o    Options
	busy chan struct{} // has as many elements as graphs are being made

	crowd *crowd.Crowd // of those who wait for one

	mu    sync.Mutex
	watch *watch // nil: nothing has asked for a while
}

// New makes a server. Nothing happens before the first request.
func New(o Options) *Server {
	o.Answer, o.Idle, o.Busy = cmp.Or(o.Answer, 5*time.Second), cmp.Or(o.Idle, 10*time.Minute), cmp.Or(o.Busy, 2)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Taps == nil {
		o.Taps = tap.New(tap.Limits{})
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, busy: make(chan struct{}, o.Busy), crowd: crowd.New(cmp.Or(o.Graphs, 32))}
}

// Register has a server of gRPC answer clients.
func (s *Server) Register(r grpc.ServiceRegistrar) { observerv1.RegisterObserverServer(r, s) }

// Close ends what was begun beside requests, and waits for its end.
func (s *Server) Close() {
	s.mu.Lock()
	w := s.watch
	s.watch = nil
	s.mu.Unlock()
	if w != nil {
		w.cancel()
		<-w.over
	}
}

// other stands for the nodes whose names a client does not know, as in answers of GetFlows.
const other = "another node"

// missing makes a list of what was found to be missing. A client that may see some namespaces is told that something is, and no more.
func missing(all bool, list []*observerv1.Missing) []*observerv1.Missing {
	if all || len(list) == 0 {
		return list
	}
	return []*observerv1.Missing{{Node: other, Reason: "some flows of this time are not here, which may be of any namespace"}}
}

// masked adds to a mask what is needed here.
func masked(mask *fieldmaskpb.FieldMask) *fieldmaskpb.FieldMask {
	if len(mask.GetPaths()) == 0 {
		return nil
	}
	return &fieldmaskpb.FieldMask{Paths: append([]string{"uuid", "time"}, mask.GetPaths()...)}
}

// intake takes what GetFlows sends, in place of a client.
type intake struct {
	grpc.ServerStream // of the client: its context says what may be seen
	ctx               context.Context
	take              func(f *flowpb.Flow) error
	miss              func(node string, m *observerv1.Missing) error
	status            func(*observerpb.GetFlowsResponse) error // nil: nothing more is done about news of nodes
}

func (i *intake) Context() context.Context { return i.ctx }

// SendMsg implements grpc.ServerStream: of what an agent sent as it was.
func (i *intake) SendMsg(m any) error {
	f, is := m.(*frame.Frame)
	if !is {
		return fmt.Errorf("a %T is no flow", m)
	}
	r, err := f.Message()
	if err != nil {
		return err
	}
	return i.Send(r)
}

// Send implements grpc.ServerStreamingServer.
func (i *intake) Send(r *observerpb.GetFlowsResponse) error {
	if f := r.GetFlow(); f != nil {
		return i.take(f)
	}
	if lost := r.GetLostEvents(); lost != nil {
		return i.miss(r.GetNodeName(), &observerv1.Missing{Node: r.GetNodeName(), Flows: lost.GetNumEventsLost(), Reason: reasonOf(lost.GetSource())})
	}
	n := r.GetNodeStatus()
	if n == nil {
		return nil
	}
	if i.status != nil {
		if err := i.status(r); err != nil {
			return err
		}
	}
	reason := reasons[n.GetStateChange()]
	if reason == "" {
		return nil
	}
	if n.GetMessage() != "" {
		reason += ": " + n.GetMessage()
	}
	for _, name := range n.GetNodeNames() {
		if err := i.miss(name, &observerv1.Missing{Node: name, Reason: reason}); err != nil {
			return err
		}
	}
	return nil
}
