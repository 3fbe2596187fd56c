package ui

import (
	"context"
	"fmt"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/graph"
	"weftnet.io/weftnet/internal/tenancy"
)

const (
	usualWindow = 5 * time.Minute
	mostEdges   = 10_000
)

// Aggregate gives a graph.
func (s *Server) Aggregate(ctx context.Context, r *observerv1.AggregateRequest) (*observerv1.AggregateResponse, error) {
	reader, err := s.o.Reader(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := s.crowd.Enter(reader.Name())
	if err != nil {
		return nil, err
	}
	defer leave()
	v, err := newView(ctx, reader)
	if err != nil {
		return nil, err
	}
	w := s.watching()
	q, err := wanted(r, w.store.Span(), s.o.Now())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	var out *observerv1.AggregateResponse
	if graph.Keeps(append(r.GetFilter().GetWhitelist(), r.GetFilter().GetBlacklist()...)...) {
		out, err = s.remembered(ctx, w, q, v)
	} else {
		out, err = s.counted(ctx, q, r, v.all)
	}
	if err != nil {
		return nil, err
	}
	out.Until = timestamppb.New(q.now)
	return out, nil
}

// wish is what graph is asked for.
type wish struct {
	now, since time.Time
	level      observerv1.Level
	want       filter.Func
	most       int
}

func wanted(r *observerv1.AggregateRequest, span time.Duration, now time.Time) (q wish, err error) {
	q = wish{now: now, level: r.GetLevel(), most: int(r.GetMaxEdges())}
	window := usualWindow
	if r.GetWindow() != nil {
		if err := r.GetWindow().CheckValid(); err != nil {
			return q, fmt.Errorf("window: %w", err)
		}
		if d := r.GetWindow().AsDuration(); d != 0 {
			window = d
		}
	}
	switch {
	case window < 0 || window > span:
		return q, fmt.Errorf("window: %s is not within 0 and %s, which is what the relay keeps", window, span)
	case observerv1.Level_name[int32(q.level)] == "":
		return q, fmt.Errorf("level: %d is none of this version", q.level)
	case q.most > mostEdges:
		return q, fmt.Errorf("max_edges: %d is more than an answer has, which is %d at most", q.most, mostEdges)
	case q.most == 0:
		q.most = mostEdges
	}
	q.since = q.now.Add(-window)
	if q.want, err = filter.New(r.GetFilter().GetWhitelist(), r.GetFilter().GetBlacklist()); err != nil {
		return q, err
	}
	return q, nil
}

// remembered answers of the store.
func (s *Server) remembered(ctx context.Context, w *watch, q wish, v *view) (*observerv1.AggregateResponse, error) {
	late := w.settle(ctx, s.o.Answer)
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	since := q.since.Truncate(graph.Step)
	absent := append(late, w.missing(since)...)
	if from := w.store.Since(q.now); from.After(since) {
		absent = append(absent, &observerv1.Missing{Reason: fmt.Sprintf("the relay has room for kinds of flows since %s", clock(from))})
		since = from
	}
	g, left, err := w.store.Sum(since, q.level, func(f *flowpb.Flow) (*flowpb.Flow, error) {
		shown, err := v.show(ctx, f)
		if shown == nil || err != nil || !q.want(shown) {
			return nil, err
		}
		return shown, nil
	})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		absent = append(absent, &observerv1.Missing{Flows: left, Reason: "the relay has no room for so many kinds of flows"})
	}
	out := g.Response(q.most)
	out.Since, out.Missing = timestamppb.New(since), missing(v.all, absent)
	return out, nil
}

// counted answers of what agents keep just now.
func (s *Server) counted(ctx context.Context, q wish, r *observerv1.AggregateRequest, all bool) (*observerv1.AggregateResponse, error) {
	g := graph.NewGraph(q.level)
	absent := missing(all, s.gaps(ctx, q.since))
	err := s.o.Flows.GetFlows(&observerpb.GetFlowsRequest{
		Whitelist: r.GetFilter().GetWhitelist(), Blacklist: r.GetFilter().GetBlacklist(), Since: timestamppb.New(q.since), Until: timestamppb.New(q.now),
	}, &intake{ctx: ctx, take: func(f *flowpb.Flow) error { g.Add(f); return nil }, miss: func(_ string, m *observerv1.Missing) error {
		if len(absent) < mostMissing {
			absent = append(absent, m)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	out := g.Response(q.most)
	out.Since, out.Missing = timestamppb.New(q.since), absent
	return out, nil
}

// view is what a client sees of kinds of flows, as GetFlows shows it single ones.
type view struct {
	reader tenancy.Reader
	all    bool
	may    map[string]bool // by namespace, as far as asked
}

func newView(ctx context.Context, r tenancy.Reader) (*view, error) {
	all, err := r.All(ctx)
	return &view{r, all, map[string]bool{}}, err
}

func (v *view) show(ctx context.Context, f *flowpb.Flow) (*flowpb.Flow, error) {
	if v.all {
		return f, nil
	}
	return tenancy.ShowTo(ctx, f, v.remembers)
}

// remembers asks about each namespace once.
func (v *view) remembers(ctx context.Context, namespace string) (bool, error) {
	may, known := v.may[namespace]
	if known {
		return may, nil
	}
	may, err := v.reader.May(ctx, namespace)
	if err == nil {
		v.may[namespace] = may
	}
	return may, err
}

// checked tells what is wrong with a request for flows.
func checked(r *observerpb.GetFlowsRequest) error {
	_, err := query.New(r)
	return err
}
