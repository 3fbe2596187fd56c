package ui

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay/frame"
	"weftnet.io/weftnet/internal/relay/graph"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/resume"
)

// again is when an agent is asked again after it ended a request.
const again = 2 * time.Second

// watch follows all agents and puts what they see into a store.
type watch struct {
	s      *Server
	store  *graph.Store
	cancel context.CancelFunc
	over   chan struct{} // closed when all has ended
	first  chan struct{} // closed when the agents that are there have been asked

	mu    sync.Mutex
	asked time.Time // when the store was wanted last
	nodes map[string]*watched
}

// watched is an agent.
type watched struct {
	running bool
	settled chan struct{} // closed when all that it had is in the store
	failed  time.Time     // when it ended the request
	place   resume.Place  // of its reader alone
	lost    time.Time     // when it told of a loss last
	gone    bool
	losses  []loss
}

// loss is that flows of some time are missing.
type loss struct {
	until time.Time // they were before; zero: up to now, and on
	flows uint64    // 0: it is not known how many
	why   string
}

// watching gives what follows the agents, and begins to if nothing does.
func (s *Server) watching() *watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch == nil {
		ctx, cancel := context.WithCancel(context.Background()) // of no one request
		s.watch = &watch{s: s, store: graph.New(s.o.Limits), cancel: cancel, over: make(chan struct{}), first: make(chan struct{}), nodes: map[string]*watched{}}
		go s.watch.run(ctx)
	}
	s.watch.mu.Lock()
	s.watch.asked = s.o.Now()
	s.watch.mu.Unlock()
	return s.watch
}

// run follows until it was not asked for a while.
func (w *watch) run(ctx context.Context) {
	var reading sync.WaitGroup
	defer close(w.over)
	defer reading.Wait()
	defer w.cancel()
	ended := make(chan struct{}, 1)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for begun := false; !w.idle(); begun = true {
		changed := w.join(ctx, &reading, ended)
		if !begun {
			close(w.first)
		}
		timer.Reset(again)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-ended:
		case <-timer.C:
		}
	}
}

// idle ends the watch if nothing asks for it.
func (w *watch) idle() bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.s.o.Now().Sub(w.asked) < w.s.o.Idle {
		return false
	}
	if w.s.watch == w {
		w.s.watch = nil
	}
	return true
}

// join asks those agents that are there and are not being followed.
func (w *watch) join(ctx context.Context, reading *sync.WaitGroup, ended chan struct{}) (changed <-chan struct{}) {
	all, changed := w.s.o.Peers.List()
	w.mu.Lock()
	defer w.mu.Unlock()
	now, there := w.s.o.Now(), map[string]bool{}
	for _, p := range all {
		there[p.Name] = true
		n := w.nodes[p.Name]
		if n == nil {
			n = &watched{settled: make(chan struct{})}
			w.nodes[p.Name] = n
		}
		n.gone = false
		if n.running || !p.Available || now.Sub(n.failed) < again {
			continue
		}
		n.running = true
		reading.Go(func() {
			err := w.follow(ctx, p, n)
			w.mu.Lock()
			n.running, n.failed = false, w.s.o.Now()
			w.mu.Unlock()
			if err != nil && ctx.Err() == nil {
				w.s.o.Log.Warn("a node ended a request for flows", "node", p.Name, "error", err)
			}
			select {
			case ended <- struct{}{}:
			default:
			}
		})
	}
	for name, n := range w.nodes {
		if n.gone = !there[name]; n.gone && !n.running && now.Sub(n.failed) > w.store.Span() {
			delete(w.nodes, name)
		}
	}
	return changed
}

// follow puts what an agent sees into the store: at first all that it has, later what came since.
func (w *watch) follow(ctx context.Context, p peers.Peer, n *watched) error {
	client := observerpb.NewObserverClient(p.Conn)
	since := cmp.Or(n.place.Latest, w.s.o.Now().Add(-w.store.Span()))
	asking, cancel := context.WithTimeout(ctx, w.s.o.Answer)
	from, why, err := w.s.reach(asking, client, since)
	cancel()
	if err != nil {
		return err
	}
	if why != "" {
		w.lose(n, loss{until: from, why: why})
	}
	// What there is comes to an end; what comes after it does not.
	for _, request := range []*observerpb.GetFlowsRequest{{}, {Follow: true}} {
		if !n.place.Latest.IsZero() {
			since = n.place.Again(true)
		}
		request.Since = timestamppb.New(since)
		if err := w.s.o.Taps.Read(ctx, p.Conn, request, func(all []*frame.Frame) error { return w.take(n, all) }); err != nil {
			return err
		}
		w.mu.Lock()
		select {
		case <-n.settled:
		default:
			close(n.settled)
		}
		w.mu.Unlock()
	}
	return nil
}

// take puts some of what an agent answers into the store.
func (w *watch) take(n *watched, all []*frame.Frame) error {
	for _, f := range all {
		r, err := f.Message()
		if err != nil {
			return err
		}
		switch lost := r.GetLostEvents(); {
		case lost != nil && r.GetTime().AsTime().After(n.lost):
			n.lost = r.GetTime().AsTime()
			w.lose(n, loss{until: n.lost, flows: lost.GetNumEventsLost(), why: reasonOf(lost.GetSource())})
		case r.GetFlow() != nil && n.place.Note(f):
			w.store.Add(r.GetFlow(), w.s.o.Now())
		}
	}
	return nil
}

// lose notes that flows are missing. Many losses of a moment are one.
func (w *watch) lose(n *watched, l loss) {
	w.mu.Lock()
	defer w.mu.Unlock()
	oldest := w.s.o.Now().Add(-w.store.Span())
	n.losses = slices.DeleteFunc(n.losses, func(l loss) bool { return l.until.Before(oldest) })
	for i, o := range n.losses {
		if o.why == l.why && l.until.Truncate(graph.Step).Equal(o.until.Truncate(graph.Step)) {
			n.losses[i].flows += l.flows
			n.losses[i].until = l.until
			return
		}
	}
	n.losses = append(n.losses, l)
}

// missing lists what is not in the store since a time.
func (w *watch) missing(since time.Time) (list []*observerv1.Missing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range w.nodes {
		sum := map[string]uint64{}
		for _, l := range n.losses {
			if l.until.After(since) {
				sum[l.why] += l.flows
			}
		}
		for why, flows := range sum {
			list = append(list, &observerv1.Missing{Node: name, Reason: why, Flows: flows})
		}
		switch {
		case n.gone && n.failed.After(since):
			list = append(list, &observerv1.Missing{Node: name, Reason: "the node is gone"})
		case !n.gone && !n.running:
			list = append(list, &observerv1.Missing{Node: name, Reason: "the node is away"})
		}
	}
	slices.SortFunc(list, func(a, b *observerv1.Missing) int {
		return cmp.Or(cmp.Compare(a.GetNode(), b.GetNode()), cmp.Compare(a.GetReason(), b.GetReason()))
	})
	return list
}

// settle waits until what agents have kept is in the store, and tells of those that have not given it in time.
func (w *watch) settle(ctx context.Context, patience time.Duration) (late []*observerv1.Missing) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-w.first:
	case <-waiting.Done():
	}
	w.mu.Lock()
	settled := map[string]chan struct{}{}
	for name, n := range w.nodes {
		if n.running {
			settled[name] = n.settled
		}
	}
	w.mu.Unlock()
	for name, channel := range settled {
		select {
		case <-channel:
			continue
		default:
		}
		select {
		case <-channel:
		case <-waiting.Done():
			late = append(late, &observerv1.Missing{Node: name, Reason: "its agent has not yet given all that it keeps"})
		}
	}
	return late
}

// end is nil at the regular end of a stream.
func end(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
