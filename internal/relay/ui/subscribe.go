package ui

import (
	"fmt"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

// A batch goes when it has so many flows, or its first one has waited so long.
const (
	batch = 256
	delay = 200 * time.Millisecond
)

// Flows may be late by overlap, or by what they were late within the last minutes (a node's clock may go slow); those of a node that was
// away may be, until there were none such for calm: a cursor is as far behind. All of that is forgotten after longest, so that a node that
// stays away does not have everything given again.
const (
	overlap = 2 * time.Second
	calm    = 5 * time.Second
	longest = 5 * time.Minute
)

// Subscribe sends flows as they come, from a cursor on.
func (s *Server) Subscribe(r *observerv1.SubscribeRequest, stream grpc.ServerStreamingServer[observerv1.SubscribeResponse]) error {
	ctx := stream.Context()
	reader, err := s.o.Reader(ctx)
	if err != nil {
		return err
	}
	all, err := reader.All(ctx)
	if err != nil {
		return err
	}
	request := &observerpb.GetFlowsRequest{
		Follow: true, Whitelist: r.GetFilter().GetWhitelist(), Blacklist: r.GetFilter().GetBlacklist(), FieldMask: masked(r.GetFieldMask()),
	}
	sub := &subscription{stream: stream, place: newPlace(s.o.Now()), now: s.o.Now}
	request.Since = timestamppb.New(sub.place.cursor(s.o.Now()).at) // else it would be from when each agent has been asked
	if text := r.GetCursor(); text != "" {
		c, err := parseCursor(text, observerv1.Order_ORDER_UNSPECIFIED)
		if err != nil {
			return status.Error(codes.InvalidArgument, fmt.Sprintf("cursor: %v", err))
		}
		request.Since, sub.place.high = timestamppb.New(c.at), c.at.Add(overlap)
		sub.missing = missing(all, s.gaps(ctx, c.at))
	}
	if err := checked(request); err != nil { // before anything is sent
		return status.Error(codes.InvalidArgument, err.Error())
	}
	sub.timer = time.AfterFunc(delay, sub.ring) // the answer begins, if it does, though no node may be there
	defer sub.timer.Stop()
	err = s.o.Flows.GetFlows(request, &intake{ctx: ctx, take: sub.take, miss: sub.miss, status: sub.status})
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.over = true // what rings from now on sends nothing
	if sub.failed != nil {
		return sub.failed
	}
	return err
}

// subscription is what one client is being sent.
type subscription struct {
	stream grpc.ServerStreamingServer[observerv1.SubscribeResponse]
	now    func() time.Time
	timer  *time.Timer

	mu      sync.Mutex // guards what follows, and sending
	flows   []*flowpb.Flow
	missing []*observerv1.Missing
	place   place
	failed  error
	over    bool
}

func (s *subscription) take(f *flowpb.Flow) error {
	s.mu.Lock()
	s.place.give(f.GetTime().AsTime(), s.now())
	s.flows = append(s.flows, f)
	n := len(s.flows)
	s.mu.Unlock()
	switch {
	case n == batch:
		return s.flush()
	case n == 1:
		s.timer.Reset(delay)
	}
	return nil
}

func (s *subscription) miss(_ string, m *observerv1.Missing) error {
	s.mu.Lock()
	s.missing = append(s.missing, m)
	s.mu.Unlock()
	return s.flush()
}

func (s *subscription) status(r *observerpb.GetFlowsResponse) error {
	s.told(r)
	return s.flush()
}

func (s *subscription) told(r *observerpb.GetFlowsResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range r.GetNodeStatus().GetNodeNames() {
		switch r.GetNodeStatus().GetStateChange() {
		case relaypb.NodeState_NODE_UNAVAILABLE, relaypb.NodeState_NODE_ERROR:
			s.place.leaves(name, s.now())
		case relaypb.NodeState_NODE_CONNECTED:
			s.place.returns(name, s.now())
		case relaypb.NodeState_NODE_GONE:
			delete(s.place.away, name)
		}
	}
}

// ring is the timer's.
func (s *subscription) ring() { _ = s.flush() }

// flush sends what there is. An error is remembered: the client is gone.
func (s *subscription) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil || s.over {
		return s.failed
	}
	out := &observerv1.SubscribeResponse{Flows: s.flows, Missing: s.missing, Cursor: s.place.cursor(s.now()).text()}
	s.flows, s.missing = nil, nil
	s.failed = s.stream.Send(out)
	return s.failed
}

// place is how far a client has been given flows. It knows only what the client was told.
type place struct {
	high time.Time // the latest that was given
	lag  time.Duration
	slow time.Time // when a flow was as late as lag
	away map[string]absence
}

// absence is that of a node.
type absence struct {
	since time.Time
	back  time.Time // zero: it is away
	late  time.Time // when something late was given last
}

func newPlace(now time.Time) place { return place{high: now, away: map[string]absence{}} }

func (p *place) give(at, now time.Time) {
	if at.After(now) {
		at = now // a clock goes fast: those of others may come with earlier times for long
	}
	if at.After(p.high) {
		p.high = at
	}
	if lag := min(p.high.Sub(at), longest); lag >= p.lag {
		p.lag, p.slow = lag, now
	}
	if at.Before(p.high.Add(-overlap)) { // it may be of any node that was away
		for name, a := range p.away {
			a.late = now
			p.away[name] = a
		}
	}
}

func (p *place) leaves(name string, now time.Time) {
	a, known := p.away[name]
	if !known {
		a.since = now
	}
	a.back = time.Time{}
	p.away[name] = a
}

func (p *place) returns(name string, now time.Time) {
	if a, known := p.away[name]; known {
		a.back = now
		p.away[name] = a
	}
}

// cursor is behind what was given, and before what may be late.
func (p *place) cursor(now time.Time) cursor {
	at := p.high
	for name, a := range p.away {
		quiet := !a.back.IsZero() && now.Sub(a.back) > calm && now.Sub(a.late) > calm
		if quiet || now.Sub(a.since) > longest {
			delete(p.away, name)
			continue
		}
		if a.since.Before(at) {
			at = a.since
		}
	}
	if now.Sub(p.slow) > longest {
		p.lag = 0
	}
	if slow := p.high.Add(-p.lag); slow.Before(at) {
		at = slow
	}
	return cursor{at: at.Add(-overlap)}
}
