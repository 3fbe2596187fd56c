// Package tap has all that follow an agent's flows read one stream of it.
//
// # The world it models
//
//	agent --- one stream for each kind of request ---> queue ---> readers, each at a place of its own
//	agent --- what is stored, for a reader alone ------------------^ until it meets what is in the queue
//
// A reader who wants nothing of the past reads the queue from its end on. One who does has a stream of its own at first, as the agent
// alone knows where its past ends. As soon as both have given the same flow the own stream ends, and the reader goes on in the queue
// behind that flow.
//
// An agent looks at each flow once for each kind of request. So that their number stays small, those beyond Kinds read the stream of all
// flows, and what they want is picked out here.
//
// # Invariants
//
//   - A reader is given what a stream of its own would give it, in that order, and nothing twice.
//   - No reader waits for another. What one that is slow has not taken is dropped when all queues together are full, and it is told of
//     that in the place of what it lost, as agents tell it.
//   - A queue has what its slowest reader has still to take, and nothing when all are quick. Without readers there is no stream.
//
// # Example
//
//	taps := tap.New(tap.Limits{})
//	err := taps.Read(ctx, conn, request, func(flows []*frame.Frame) error { … })
package tap

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/frame"
)

// Limits are what is here at once; those that are 0 have their defaults.
type Limits struct {
	Bytes int // in all queues: 64 MiB as agents sent them; decoded they are some four times as large
	Kinds int // of requests that an agent is asked side by side, beside that for all flows: 8
}

// least is what each queue may hold however many there are, in bytes.
const least = 256 << 10

// Taps are the streams that are shared. Its methods may be called from any goroutine.
type Taps struct {
	limits Limits

	all atomic.Int64 // that are open

	mu   sync.Mutex
	open map[grpc.ClientConnInterface]map[string]*tap // by kind of request
}

// New makes taps of which none is open.
func New(l Limits) *Taps {
	l.Bytes, l.Kinds = cmp.Or(l.Bytes, 64<<20), cmp.Or(l.Kinds, 8)
	return &Taps{limits: l, open: map[grpc.ClientConnInterface]map[string]*tap{}}
}

// Take is called with what came, some at a time; what it is given is its own. An error ends the reading.
type Take func([]*frame.Frame) error

// Read gives what an agent answers to a request, until its end, which is no error, or until ctx ends.
func (t *Taps) Read(ctx context.Context, conn grpc.ClientConnInterface, r *observerpb.GetFlowsRequest, take Take) error {
	past := r.GetNumber() > 0 || r.GetSince() != nil
	if paths := r.GetFieldMask().GetPaths(); !r.GetFollow() || r.GetUntil() != nil || past && len(paths) > 0 && !slices.Contains(paths, "uuid") {
		return alone(ctx, conn, r, take) // it ends, or its flows would not be known again
	}
	reader, pick, err := t.enter(conn, r, past)
	if err != nil {
		return err
	}
	defer reader.leave()
	if past {
		over, err := reader.begin(ctx, conn, r, take)
		if over || err != nil {
			return err
		}
	}
	if pick != nil {
		take = pick.of(take)
	}
	return reader.follow(ctx, take)
}

// alone reads a stream of its own to its end.
func alone(ctx context.Context, conn grpc.ClientConnInterface, r *observerpb.GetFlowsRequest, take Take) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := frame.Ask(ctx, conn, r)
	for err == nil {
		var f *frame.Frame
		if f, err = s.Next(); err == nil {
			err = take([]*frame.Frame{f})
		}
	}
	return end(err)
}

// end is nil at the regular end of a stream.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// enter makes a reader of the stream that has what a request asks for, from now on; pick is nil if it has nothing else.
func (t *Taps) enter(conn grpc.ClientConnInterface, r *observerpb.GetFlowsRequest, begins bool) (*reader, *pick, error) {
	asked := &observerpb.GetFlowsRequest{Follow: true, Whitelist: r.GetWhitelist(), Blacklist: r.GetBlacklist(), FieldMask: r.GetFieldMask(), Experimental: r.GetExperimental(), Extensions: r.GetExtensions()}
	kind, err := proto.MarshalOptions{Deterministic: true}.Marshal(asked)
	if err != nil {
		return nil, nil, err
	}
	all := &observerpb.GetFlowsRequest{Follow: true}
	whole, err := proto.MarshalOptions{Deterministic: true}.Marshal(all)
	if err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	open := t.open[conn]
	if open == nil {
		open = map[string]*tap{}
		t.open[conn] = open
	}
	kinds := len(open)
	if open[string(whole)] != nil {
		kinds--
	}
	if open[string(kind)] == nil && string(kind) != string(whole) && kinds >= t.limits.Kinds {
		p, err := newPick(r)
		if err != nil {
			return nil, nil, err
		}
		return t.tap(conn, string(whole), all).enter(begins), p, nil
	}
	return t.tap(conn, string(kind), asked).enter(begins), nil, nil
}

// tap finds one that is open, or opens it; mu is held.
func (t *Taps) tap(conn grpc.ClientConnInterface, kind string, r *observerpb.GetFlowsRequest) *tap {
	if one := t.open[conn][kind]; one != nil {
		return one
	}
	ctx, cancel := context.WithCancel(context.Background()) // of no one reader
	one := &tap{of: t, conn: conn, kind: kind, cancel: cancel, readers: map[*reader]struct{}{}}
	t.open[conn][kind] = one
	t.all.Add(1)
	go one.run(ctx, r)
	return one
}

// forget takes out a tap that nothing may enter any more; mu is held.
func (t *Taps) forget(one *tap) {
	if t.open[one.conn][one.kind] != one {
		return
	}
	t.all.Add(-1)
	if delete(t.open[one.conn], one.kind); len(t.open[one.conn]) == 0 {
		delete(t.open, one.conn)
	}
}

// room is how many bytes a queue may hold.
func (t *Taps) room() int { return max(least, t.limits.Bytes/max(1, int(t.all.Load()))) }

// pick gives of all flows what a request asks for.
type pick struct{ query query.Query }

func newPick(r *observerpb.GetFlowsRequest) (*pick, error) {
	q, err := query.New(r)
	return &pick{q}, err
}

func (p *pick) of(take Take) Take {
	return func(all []*frame.Frame) error {
		some := all[:0]
		for _, f := range all {
			if f.Kind() != frame.Flow {
				some = append(some, f)
				continue
			}
			m, err := f.Message()
			if err != nil {
				return err
			}
			if !p.query.Want(m.GetFlow()) {
				continue
			}
			if masked := p.query.Mask.Apply(m.GetFlow()); masked != m.GetFlow() {
				f = frame.New(&observerpb.GetFlowsResponse{Time: m.GetTime(), NodeName: m.GetNodeName(), ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: masked}})
			}
			some = append(some, f)
		}
		if len(some) == 0 {
			return nil
		}
		return take(some)
	}
}
