package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weftnet.io/weftnet/internal/relay/agentevent"
	"weftnet.io/weftnet/internal/relay/crowd"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/tap"
	"weftnet.io/weftnet/internal/relay/ui"
	"weftnet.io/weftnet/internal/tenancy"
)

// Peers are the agents that are asked.
type Peers interface {
	// List gives all in the order of names, and a channel that closes when that changes.
	List() (all []peers.Peer, changed <-chan struct{})
}

// Options of a server; those that are 0 have their defaults.
type Options struct {
	Version string
	Window  time.Duration // how late a node may be for its flows to be in order: 1 s
	Most    int           // flows of a request that are here to be put in order: 10,000
	Answer  time.Duration // within which an agent answers: 5 s
	Gate    tenancy.Gate  // says who clients are, and what they may see; nil: they see nothing
	Log     *slog.Logger

	Requests int // for flows that are answered at a time: 256
	Waiting  int // bytes of flows that wait for slow clients, of all that follow: 64 MiB
}

// Server is Hubble's observer.Observer for all agents.
type Server struct {
	observerpb.UnimplementedObserverServer
	peers   Peers
	o       Options
	numbers *numbers
	crowd   *crowd.Crowd
	taps    *tap.Taps
}

// NewServer makes a server.
func NewServer(p Peers, o Options) *Server {
	o.Window, o.Most, o.Answer = cmp.Or(o.Window, time.Second), cmp.Or(o.Most, 10_000), cmp.Or(o.Answer, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Gate == nil {
		o.Gate = closed{}
	}
	return &Server{peers: p, o: o, numbers: newNumbers(p), crowd: crowd.New(o.Requests), taps: tap.New(tap.Limits{Bytes: o.Waiting})}
}

// Register has a server of gRPC answer clients. It must have Interceptors.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	observerpb.RegisterObserverServer(r, s)
	ui.New(ui.Options{Peers: s.peers, Flows: s, Taps: s.taps, Reader: readerOf, Answer: s.o.Answer, Log: s.o.Log}).Register(r)
}

// Metrics are what the server tells of itself.
func (s *Server) Metrics() prometheus.Collector { return s.numbers }

// each asks all agents that are available, side by side. An agent that gives an error has a say in nothing else.
func each[A any](ctx context.Context, s *Server, ask func(context.Context, observerpb.ObserverClient) (A, error)) (all []peers.Peer, answers map[string]A) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Answer)
	defer cancel()
	all, _ = s.peers.List()
	answers = map[string]A{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, p := range all {
		if !p.Available {
			continue
		}
		asking.Go(func() {
			answer, err := ask(ctx, observerpb.NewObserverClient(p.Conn))
			if err != nil {
				s.o.Log.Warn("a node does not answer", "node", p.Name, "error", err)
				return
			}
			mu.Lock()
			answers[p.Name] = answer
			mu.Unlock()
		})
	}
	asking.Wait()
	return all, answers
}

// reads has a request count among those for flows that are answered at a time, if it has agents give all that they keep: for a client that may
// not see everything.
func (s *Server) reads(v *view) (leave func(), err error) {
	if v.all {
		return func() {}, nil
	}
	return s.crowd.Enter(v.reader.Name())
}

// named is how many nodes that are away are named; all are counted.
const named = 10

// ServerStatus is the sum of those of all agents; for a client that may see some namespaces, how many flows there are of these.
func (s *Server) ServerStatus(ctx context.Context, r *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	v, err := viewOf(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := s.reads(v)
	if err != nil {
		return nil, err
	}
	defer leave()
	all, answers := each(ctx, s, func(ctx context.Context, c observerpb.ObserverClient) (*observerpb.ServerStatusResponse, error) {
		one, err := c.ServerStatus(ctx, r)
		if err != nil || v.all {
			return one, err
		}
		return v.count(ctx, c, one)
	})
	sum := &observerpb.ServerStatusResponse{Version: s.o.Version}
	away := uint32(0)
	for _, p := range all {
		one, ok := answers[p.Name]
		if !ok {
			if away++; away <= named && v.all {
				sum.UnavailableNodes = append(sum.UnavailableNodes, p.Name)
			}
			continue
		}
		sum.NumFlows += one.GetNumFlows()
		sum.MaxFlows += one.GetMaxFlows()
		sum.SeenFlows += one.GetSeenFlows()
		sum.FlowsRate += one.GetFlowsRate()
		sum.UptimeNs = max(sum.GetUptimeNs(), one.GetUptimeNs()) // a sum of times would say nothing
	}
	sum.NumConnectedNodes, sum.NumUnavailableNodes = wrapperspb.UInt32(uint32(len(answers))), wrapperspb.UInt32(away)
	return sum, nil
}

// GetNodes lists all nodes with what their agents say of themselves; for a client that may see some namespaces, the nodes where it may see
// flows of pods of theirs that are there, and of these that they answer.
func (s *Server) GetNodes(ctx context.Context, _ *observerpb.GetNodesRequest) (*observerpb.GetNodesResponse, error) {
	v, err := viewOf(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := s.reads(v)
	if err != nil {
		return nil, err
	}
	defer leave()
	all, answers := each(ctx, s, func(ctx context.Context, c observerpb.ObserverClient) (*observerpb.ServerStatusResponse, error) {
		one, err := c.ServerStatus(ctx, &observerpb.ServerStatusRequest{})
		if err != nil || v.all {
			return one, err
		}
		here, err := v.lives(ctx, c)
		if err != nil || !here {
			return nil, err
		}
		return &observerpb.ServerStatusResponse{Version: one.GetVersion()}, nil
	})
	r := &observerpb.GetNodesResponse{}
	for _, p := range all {
		one, ok := answers[p.Name]
		if !v.all && one == nil {
			continue
		}
		node := &observerpb.Node{Name: p.Name, State: relaypb.NodeState_NODE_UNAVAILABLE}
		if v.all {
			node.Address, node.Tls = p.Address, &observerpb.TLS{Enabled: p.ServerName != "", ServerName: p.ServerName}
		}
		if ok {
			node.State, node.Version, node.UptimeNs = relaypb.NodeState_NODE_CONNECTED, one.GetVersion(), one.GetUptimeNs()
			node.NumFlows, node.MaxFlows, node.SeenFlows = one.GetNumFlows(), one.GetMaxFlows(), one.GetSeenFlows()
		} else if p.Available {
			node.State = relaypb.NodeState_NODE_ERROR
		}
		r.Nodes = append(r.Nodes, node)
	}
	return r, nil
}

// GetNamespaces lists the namespaces that any agent has had flows of, and that the client may see.
func (s *Server) GetNamespaces(ctx context.Context, r *observerpb.GetNamespacesRequest) (*observerpb.GetNamespacesResponse, error) {
	v, err := viewOf(ctx)
	if err != nil {
		return nil, err
	}
	_, answers := each(ctx, s, func(ctx context.Context, c observerpb.ObserverClient) (*observerpb.GetNamespacesResponse, error) {
		return c.GetNamespaces(ctx, r)
	})
	known := map[[2]string]bool{}
	for _, one := range answers {
		for _, n := range one.GetNamespaces() {
			known[[2]string{n.GetCluster(), n.GetNamespace()}] = true
		}
	}
	out := &observerpb.GetNamespacesResponse{}
	for _, n := range slices.SortedFunc(maps.Keys(known), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if may, err := v.reader.May(ctx, n[1]); err != nil {
			return nil, err
		} else if may {
			out.Namespaces = append(out.Namespaces, &observerpb.Namespace{Cluster: n[0], Namespace: n[1]})
		}
	}
	return out, nil
}

// reason is the header, or trailer, that says why there is less than was asked for; agents have it, too.
const reason = "weftnet-reason"

// GetAgentEvents gives what all agents did, to a client that may see everything: it is about objects of all namespaces. Upstream's relay has none.
func (s *Server) GetAgentEvents(r *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	v, err := viewOf(stream.Context())
	if err != nil {
		return err
	}
	if !v.all {
		return status.Error(codes.PermissionDenied, "what agents did is about objects of all namespaces: it takes the right to get flows.weftnet.io in all of them")
	}
	leave, err := s.crowd.Enter(v.reader.Name())
	if err != nil {
		return err
	}
	defer leave()
	return agentevent.Answer(r, stream, agentevent.Options{Peers: s.peers, Window: s.o.Window, Answer: s.o.Answer, Most: s.most(), Reason: reason, Holds: func(ctx context.Context) error {
		var refusal refused
		if err := v.holds(ctx); errors.As(err, &refusal) {
			return refusal.error
		}
		return nil
	}})
}

// GetDebugEvents has none.
func (s *Server) GetDebugEvents(_ *observerpb.GetDebugEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetDebugEventsResponse]) error {
	if _, err := readerOf(stream.Context()); err != nil {
		return err
	}
	return stream.SetHeader(metadata.Pairs(reason, "the datapath has no debug events"))
}
