// Package grant has the addresses of NICs granted, by who grants those of a type of ipam, and writes down what came of it.
//
// # The world it models
//
// A row of table Orders is a NIC that needs addresses before it is made, or that has them. Who grants (Granter) is told by the type of ipam.
// What it says becomes a row of table Grants, good or bad; when the order goes, so does what was granted:
//
//	Set    order of type weft  -> Granter.Grant  -> row of Grants, with addresses or with why there are none
//	Unset  the order is gone   -> Granter.Return -> no row
//
// # Invariants
//
//   - Granting is repeatable: a NIC that has addresses gets the same. So an agent that starts grants all anew, and needs no memory of its own.
//   - What a Granter knows of a NIC of this node that has no order is returned (Dump).
//   - No order waits for another one's for longer than a moment: what takes longer goes on by itself, and the loop asks for it again.
//
// # Example
//
//	s := &grant.Sink{DB: db, Granters: map[string]grant.Granter{"weft": book}}
//	loop := s.Loop()
package grant

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
)

// Granter grants addresses to NICs of this node. It is called for several at a time, but for no NIC twice.
type Granter interface {
	// Grant gives a NIC its addresses, or those that it has already (Has, of one that has been made), and none that another has (Not). Its error is for people, and says what to
	// do; after one a NIC that had addresses has them still.
	Grant(ctx context.Context, o grant.Order) (address.Grant, error)
	// Return takes back all that a NIC has; nothing is no error. Of an order that was found by Held no more is known than that.
	Return(ctx context.Context, o grant.Order) error
	// Held lists the NICs of this node that have something, whatever was ordered.
	Held(ctx context.Context) ([]grant.Order, error)
}

// Sink keeps what is granted equal to table Orders.
type Sink struct {
	DB       *state.DB
	Granters map[string]Granter // by type of ipam; one may stand for several

	mu   sync.Mutex
	jobs map[state.Key]*job // what goes on
	lost map[state.Key]bool // granted, as this process knows, but not by what Granters say
}

var _ reconcile.Sink[grant.Order] = (*Sink)(nil)

// job is a NIC that is being granted something, or from which it is taken back.
type job struct {
	order  grant.Order
	back   bool
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done
}

const (
	moment = 3 * time.Second  // for which the loop waits
	limit  = 90 * time.Second // of one attempt
)

// Loop keeps the sink equal to the table.
func (s *Sink) Loop() *reconcile.Loop[grant.Order] {
	return &reconcile.Loop[grant.Order]{Table: grant.Orders, Sink: s, WaitSynced: true, MaxBackoff: 10 * time.Second}
}

// Begin marks the table of what has been granted as complete: an agent that starts has granted nothing.
func (s *Sink) Begin() error {
	return s.DB.Write(func(tx *state.Tx) error { grant.Grants.MarkSynced(tx); return nil })
}

// Dump lists what is granted, and what Granters know beyond that.
func (s *Sink) Dump(ctx context.Context) (iter.Seq2[state.Key, grant.Order], error) {
	list := map[state.Key]grant.Order{}
	asked := map[Granter]bool{}
	s.mu.Lock()
	s.lost = map[state.Key]bool{}
	s.mu.Unlock()
	for kind, g := range s.Granters {
		if asked[g] {
			continue
		}
		asked[g] = true
		held, err := g.Held(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range held {
			o.Terms = grant.Terms{Type: kind} // as no order has them: if there is one, it is granted again
			list[grant.Orders.Key(o)] = o
		}
	}
	for g := range grant.Grants.All(s.DB.Snapshot()) {
		key := grant.Grants.Key(g)
		switch _, held := list[key]; {
		case g.Why != "":
		case !held:
			s.mu.Lock()
			s.lost[key] = true
			s.mu.Unlock()
		default:
			have := grant.Order{ContainerID: g.ContainerID, First: g.First, Interface: g.Interface, Terms: g.Terms}
			for _, a := range g.Is.Addresses {
				have.Has = append(have.Has, a.Prefix)
			}
			list[key] = have
		}
	}
	return maps.All(list), nil
}

// Equal compares what is asked for, and what is there with what must not be.
func (s *Sink) Equal(want, have grant.Order) bool {
	return want.Terms.Equal(have.Terms) && !slices.ContainsFunc(want.Not, func(t grant.Taken) bool {
		return slices.ContainsFunc(have.Has, func(p netip.Prefix) bool { return p.Addr().Unmap() == t.Address })
	})
}

// Set grants.
func (s *Sink) Set(ctx context.Context, rows []grant.Order) error { return s.each(ctx, rows, false) }

// Unset takes back.
func (s *Sink) Unset(ctx context.Context, rows []grant.Order) error { return s.each(ctx, rows, true) }

func (s *Sink) each(ctx context.Context, rows []grant.Order, back bool) error {
	jobs := make([]*job, len(rows))
	for i, o := range rows {
		jobs[i] = s.begin(ctx, o, back)
	}
	patience, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	var errs []error
	for i, j := range jobs {
		var err error
		select {
		case <-j.done:
			if err = j.err; j.back != back || !j.order.Terms.Equal(rows[i].Terms) || !slices.Equal(j.order.Not, rows[i].Not) {
				err = errors.New("another order of this NIC came first")
			}
		case <-patience.Done():
			err = fmt.Errorf("it takes longer than %v", moment)
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: grant.Orders.Key(rows[i]), Err: err})
		}
	}
	return errors.Join(errs...)
}

// begin works on a NIC, or joins what goes on. To take back it ends what goes on.
func (s *Sink) begin(ctx context.Context, o grant.Order, back bool) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := grant.Orders.Key(o)
	if j := s.jobs[key]; j != nil {
		if back && !j.back {
			j.cancel()
		}
		return j
	}
	if s.jobs == nil {
		s.jobs = map[state.Key]*job{}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	j := &job{order: o, back: back, cancel: cancel, done: make(chan struct{})}
	s.jobs[key] = j
	go func() {
		defer cancel()
		if back {
			j.err = s.take(ctx, o)
		} else {
			j.err = s.give(ctx, o)
		}
		s.mu.Lock()
		delete(s.jobs, key)
		s.mu.Unlock()
		close(j.done)
	}()
	return j
}

func (s *Sink) granter(kind string) (Granter, error) {
	if g := s.Granters[kind]; g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("this agent has no API server, and grants no addresses by ipam of type %s", kind)
}

// give grants, and writes down what came of it.
func (s *Sink) give(ctx context.Context, o grant.Order) error {
	g, err := s.granter(o.Terms.Type)
	if err != nil {
		return s.refused(o, err)
	}
	had, there := grant.Grants.One(s.DB.Snapshot(), grant.Orders.Key(o))
	switch same := had.Terms.Equal(o.Terms); {
	case !there || had.Why != "":
	case same && grant.Has(had.Is, o.Not): // it gets another
	case same && !s.isLost(o):
		return nil // it has been made since
	case !same:
		if err := s.take(ctx, grant.Order{ContainerID: o.ContainerID, Interface: o.Interface, Terms: had.Terms}); err != nil {
			return s.refused(o, err)
		}
	}
	is, err := g.Grant(ctx, o)
	if err != nil {
		return s.refused(o, err)
	}
	return s.put(grant.Grant{ContainerID: o.ContainerID, First: o.First, Interface: o.Interface, Terms: o.Terms, Is: is})
}

func (s *Sink) isLost(o grant.Order) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost[grant.Orders.Key(o)]
}

// refused writes down why there is nothing. What has been granted before stays so.
func (s *Sink) refused(o grant.Order, why error) error {
	had, there := grant.Grants.One(s.DB.Snapshot(), grant.Orders.Key(o))
	if there && had.Why == "" && had.Terms.Equal(o.Terms) && !grant.Has(had.Is, o.Not) {
		return why
	}
	return errors.Join(why, s.put(grant.Grant{ContainerID: o.ContainerID, First: o.First, Interface: o.Interface, Terms: o.Terms, Why: why.Error()}))
}

func (s *Sink) put(g grant.Grant) error {
	return s.DB.Write(func(tx *state.Tx) error { grant.Grants.Put(tx, g); return nil })
}

// take gives back.
func (s *Sink) take(ctx context.Context, o grant.Order) error {
	if g, err := s.granter(o.Terms.Type); err == nil { // else nothing was granted
		if err := g.Return(ctx, o); err != nil {
			return err
		}
	}
	return s.DB.Write(func(tx *state.Tx) error {
		grant.Grants.Delete(tx, grant.Orders.Key(o))
		for _, t := range grant.TakenOf(tx, o.ContainerID, o.Interface) {
			grant.TakenAddresses.Delete(tx, grant.TakenAddresses.Key(t))
		}
		return nil
	})
}
