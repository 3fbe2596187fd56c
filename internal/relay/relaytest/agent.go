// Package relaytest has agents of a relay that have what a test says, and answer as agents do.
//
// # Invariants
//
//   - What is asked for is found by the journal and the query of real agents; only where flows come from is another.
//
// # Example
//
//	a := relaytest.New("n1")
//	conn := relaytest.Serve(t, nil, a.Register)
//	a.Have(items)     // in place of what there was
//	a.Tell(item)      // those that follow are sent it
package relaytest

import (
	"context"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

// Kept is how many flows an agent keeps.
const Kept = 4095

// Agent is one. Its fields are not changed once it serves.
type Agent struct {
	observerpb.UnimplementedObserverServer
	Node   string
	Uptime time.Duration
	Seen   uint64 // times as many flows as it has

	mu    sync.Mutex
	items *journal.Journal[entry, *entry]
	asked []*observerpb.GetFlowsRequest
}

// entry is an item in the journal.
type entry struct {
	journal.Entry
	tenancytest.Item
}

// New makes an agent of a node, which has nothing.
func New(node string) *Agent {
	return &Agent{Node: node, Uptime: 24 * time.Hour, Seen: 1, items: journal.New[entry](Kept)}
}

// Register has a server answer for it.
func (a *Agent) Register(s grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(s, a) }

// Have puts those of its node in the place of all that it has.
func (a *Agent) Have(all []tenancytest.Item) {
	a.mu.Lock()
	a.items = journal.New[entry](Kept)
	a.mu.Unlock()
	a.Tell(all...)
}

// Tell adds those of its node.
func (a *Agent) Tell(all ...tenancytest.Item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range all {
		if i.Node == a.Node {
			a.items.Put(&entry{Entry: journal.Entry{At: i.At}, Item: i})
		}
	}
	a.items.Wake()
}

// Asked are the requests that there were.
func (a *Agent) Asked() []*observerpb.GetFlowsRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*observerpb.GetFlowsRequest(nil), a.asked...)
}

func (a *Agent) journal() *journal.Journal[entry, *entry] {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.items
}

// GetFlows implements observer.Observer.
func (a *Agent) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	q, err := query.New(r)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	a.mu.Lock()
	a.asked = append(a.asked, r)
	items := a.items
	a.mu.Unlock()
	send := func(e *entry) error {
		one := &observerpb.GetFlowsResponse{Time: timestamppb.New(e.Item.At), NodeName: "default/" + a.Node}
		if e.Lost != nil {
			one.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: e.Lost}
		} else {
			one.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: q.Mask.Apply(e.Flow)}
		}
		return stream.Send(one)
	}
	return items.Answer(stream.Context(), journal.Range{Number: q.Number, First: q.First, Follow: q.Follow, Since: q.Since, Until: q.Until}, journal.Reader[entry]{
		Wants:  func(e *entry) bool { return e.Lost != nil || q.Want(e.Flow) },
		Counts: func(e *entry) bool { return e.Lost == nil },
		Send:   send,
		Missed: func(n uint64) error {
			return send(&entry{Item: tenancytest.Item{At: time.Now(), Lost: &flowpb.LostEvent{Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n}}})
		},
		Now: time.Now,
	})
}

// has are the items that it has.
func (a *Agent) has() (all []tenancytest.Item) {
	items := a.journal()
	oldest, next := items.Kept()
	for n := oldest; n < next; n++ {
		if e := items.Find(n); e != nil {
			all = append(all, e.Item)
		}
	}
	return all
}

// ServerStatus implements observer.Observer.
func (a *Agent) ServerStatus(context.Context, *observerpb.ServerStatusRequest) (*observerpb.ServerStatusResponse, error) {
	n := uint64(len(a.has()))
	return &observerpb.ServerStatusResponse{NumFlows: n, SeenFlows: a.Seen * n, MaxFlows: Kept, FlowsRate: float64(n), Version: "v", UptimeNs: uint64(a.Uptime)}, nil
}

// GetNamespaces implements observer.Observer.
func (a *Agent) GetNamespaces(context.Context, *observerpb.GetNamespacesRequest) (*observerpb.GetNamespacesResponse, error) {
	r := &observerpb.GetNamespacesResponse{}
	for _, i := range a.has() {
		for _, end := range []*flowpb.Endpoint{i.Flow.GetSource(), i.Flow.GetDestination()} {
			// Of a flow that the reader must not see, the name of a namespace that it may see is no secret.
			if n := end.GetNamespace(); n != "" && (!tenancytest.Sees(n) || tenancytest.Visible(i.Flow)) {
				r.Namespaces = append(r.Namespaces, &observerpb.Namespace{Cluster: "default", Namespace: n})
			}
		}
	}
	return r, nil
}
