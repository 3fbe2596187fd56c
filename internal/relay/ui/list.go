package ui

import (
	"context"
	"fmt"
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

// Pages have at most so many flows.
const (
	usualPage = 100
	mostPage  = 1000
)

// ListFlows gives a page.
func (s *Server) ListFlows(ctx context.Context, r *observerv1.ListFlowsRequest) (*observerv1.ListFlowsResponse, error) {
	reader, err := s.o.Reader(ctx)
	if err != nil {
		return nil, err
	}
	all, err := reader.All(ctx)
	if err != nil {
		return nil, err
	}
	p, request, err := pageOf(r)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	out := &observerv1.ListFlowsResponse{}
	var found []*flowpb.Flow
	stream := &intake{ctx: ctx, take: func(f *flowpb.Flow) error {
		if !f.GetTime().AsTime().Equal(p.at) || !slices.Contains(p.given, f.GetUuid()) {
			found = append(found, f)
		}
		return nil
	}, miss: func(_ string, m *observerv1.Missing) error {
		if len(out.GetMissing()) < mostMissing {
			out.Missing = append(out.Missing, m)
		}
		return nil
	}}
	if r.GetCursor() != "" && p.of == observerv1.Order_ORDER_OLDEST_FIRST {
		out.Missing = missing(all, s.gaps(ctx, p.at))
	}
	if err := s.o.Flows.GetFlows(request, stream); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if p.of == observerv1.Order_ORDER_NEWEST_FIRST {
		slices.Reverse(found)
	}
	if len(found) > p.size {
		found = found[:p.size]
		out.NextCursor = p.after(found).text()
	}
	out.Flows = found
	return out, nil
}

// mostMissing bounds what one answer tells to be missing.
const mostMissing = 1000

// page is which one is asked for.
type page struct {
	cursor
	size int
}

// pageOf reads a request, and makes that for GetFlows: for one more than the page and what is before it at the same time.
func pageOf(r *observerv1.ListFlowsRequest) (p page, out *observerpb.GetFlowsRequest, err error) {
	p.size, p.of = int(r.GetPageSize()), r.GetOrder()
	switch {
	case p.size == 0:
		p.size = usualPage
	case p.size > mostPage:
		return p, nil, fmt.Errorf("page_size: %d is more than a page has, which is %d at most", p.size, mostPage)
	}
	if p.of == observerv1.Order_ORDER_UNSPECIFIED {
		p.of = observerv1.Order_ORDER_NEWEST_FIRST
	}
	if observerv1.Order_name[int32(p.of)] == "" {
		return p, nil, fmt.Errorf("order: %d is none of this version", p.of)
	}
	out = &observerpb.GetFlowsRequest{
		Whitelist: r.GetFilter().GetWhitelist(), Blacklist: r.GetFilter().GetBlacklist(), FieldMask: masked(r.GetFieldMask()),
		Since: r.GetSince(), Until: r.GetUntil(), First: p.of == observerv1.Order_ORDER_OLDEST_FIRST,
	}
	if text := r.GetCursor(); text != "" {
		if p.cursor, err = parseCursor(text, p.of); err != nil {
			return p, nil, fmt.Errorf("cursor: %w", err)
		}
		if out.First {
			out.Since = timestamppb.New(p.at)
		} else {
			out.Until = timestamppb.New(p.at)
		}
	}
	out.Number = uint64(p.size + len(p.given) + 1)
	return p, out, nil
}

// after is the cursor behind the flows of a page, the last of which are furthest.
func (p page) after(flows []*flowpb.Flow) cursor {
	c := cursor{of: p.of, at: flows[len(flows)-1].GetTime().AsTime()}
	for _, f := range flows {
		if f.GetTime().AsTime().Equal(c.at) {
			c.given = append(c.given, f.GetUuid())
		}
	}
	if c.at.Equal(p.at) {
		c.given = append(c.given, p.given...)
	}
	return c
}
