// Package query reads a GetFlowsRequest: what agents and relays must know of it, checked.
//
// Invariant: what makes no sense is an error that names its field; what was read makes sense.
//
//	q, err := query.New(request)
//	if err != nil {
//		return status.Error(codes.InvalidArgument, err.Error())
//	}
package query

import (
	"errors"
	"fmt"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
)

// Query is which flows are asked for.
type Query struct {
	Want         filter.Func
	Mask         flow.Mask
	Number       uint64 // of flows, the last ones or with First the first; 0: no limit
	First        bool
	Follow       bool
	Since, Until time.Time // zero: none
}

// New reads a request.
func New(r *observerpb.GetFlowsRequest) (Query, error) {
	q := Query{Number: r.GetNumber(), First: r.GetFirst(), Follow: r.GetFollow()}
	var err error
	if q.Want, err = filter.New(r.GetWhitelist(), r.GetBlacklist()); err != nil {
		return Query{}, err
	}
	if q.Mask, err = flow.NewMask(r.GetFieldMask().GetPaths()); err != nil {
		return Query{}, err
	}
	return q, q.bound(r)
}

// Bounds reads a request that has no filters: for agent events.
func Bounds(r Bounded) (Query, error) {
	q := Query{Number: r.GetNumber(), First: r.GetFirst(), Follow: r.GetFollow()}
	return q, q.bound(r)
}

// Bounded is a request for what has happened.
type Bounded interface {
	GetNumber() uint64
	GetFirst() bool
	GetFollow() bool
	GetSince() *timestamppb.Timestamp
	GetUntil() *timestamppb.Timestamp
}

// bound reads from when until when, and checks it against the rest.
func (q *Query) bound(r Bounded) error {
	for _, bound := range []struct {
		name string
		at   *timestamppb.Timestamp
		to   *time.Time
	}{{"since", r.GetSince(), &q.Since}, {"until", r.GetUntil(), &q.Until}} {
		if bound.at == nil {
			continue
		}
		if err := bound.at.CheckValid(); err != nil {
			return fmt.Errorf("%s: %w", bound.name, err)
		}
		*bound.to = bound.at.AsTime()
	}
	switch {
	case q.First && q.Follow:
		return errors.New("first: asks for the oldest, follow for those to come; say one of them")
	case !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since):
		return fmt.Errorf("until: %s is before since %s", q.Until.Format(time.RFC3339), q.Since.Format(time.RFC3339))
	}
	return nil
}

// Last tells whether the last flows of what is stored are asked for, up to a number.
func (q Query) Last() bool { return q.Number > 0 && !q.First }
