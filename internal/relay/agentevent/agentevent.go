// Package agentevent puts what all agents of a cluster did into one order, that of time.
//
// # Invariants
//
//   - Events of one agent stay in its order. For the past the order of all is exact; what comes waits for others no longer than Window.
//   - An agent that is away, slow or wrong costs its own events, and is told of in a trailer; if none has given anything, that is the error.
//
// # Example
//
//	return agentevent.Answer(request, stream, agentevent.Options{Peers: peers, Window: time.Second, Answer: 5 * time.Second, Most: 10_000})
package agentevent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/merge"
	"weftnet.io/weftnet/internal/relay/peers"
)

// Options say who is asked, and how long is waited for it.
type Options struct {
	Peers interface {
		List() ([]peers.Peer, <-chan struct{})
	}
	Window, Answer time.Duration               // as those of a relay
	Most           int                         // events that are here to be put in order
	Holds          func(context.Context) error // the client may still be given something
	Reason         string                      // the trailer that says why there is less than was asked for
}

// again is when an agent is asked again after it ended a request that follows.
const again = 2 * time.Second

// The last events of a request are here until all agents have given theirs, so their number has a limit. A number that no agent has
// means all.
const (
	mostLast = 50_000
	allOf    = 1 << 32
)

// Answer answers a request. An error is one of gRPC's package status.
func Answer(r *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse], o Options) error {
	q, err := query.Bounds(r)
	if err == nil && q.Last() && q.Number > mostLast && q.Number < allOf {
		err = fmt.Errorf("number: %d is more than a relay keeps to put them in order, which is %d", q.Number, mostLast)
	}
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	limits := merge.Limits{Window: o.Window, Patience: o.Answer, Most: o.Most}
	if q.Follow {
		limits.Patience = o.Window // what is kept comes without a pause
	}
	ctx, cancel := context.WithCancel(stream.Context())
	e := &events{
		o: o, q: q, request: r, stream: stream, ctx: ctx, started: time.Now(), woken: make(chan struct{}, 1), agents: map[string]*acting{},
		merge: merge.New[*observerpb.GetAgentEventsResponse](limits),
	}
	defer e.reading.Wait()
	defer cancel()
	return e.run()
}

// events answers one request for what agents did.
type events struct {
	o       Options
	q       query.Query
	request *observerpb.GetAgentEventsRequest
	stream  grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]
	ctx     context.Context
	started time.Time
	reading sync.WaitGroup
	woken   chan struct{}

	mu     sync.Mutex // guards what follows
	merge  *merge.Merge[*observerpb.GetAgentEventsResponse]
	agents map[string]*acting

	last []*observerpb.GetAgentEventsResponse // of the loop: held back until it is known which are the last
	sent uint64
}

// acting is an agent.
type acting struct {
	running bool
	ended   time.Time
	err     error
	latest  time.Time // of what it gave
	space   chan struct{}
}

func (e *events) run() error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	past := true
	for begun := false; ; begun = true {
		changed := e.join(begun)
		for look := false; !look; {
			now := time.Now()
			e.mu.Lock()
			var rest []merge.Item[*observerpb.GetAgentEventsResponse]
			if over, _ := e.merge.Settled(e.atMost(), now); past && e.q.Follow && over {
				for e.merge.Len() > 0 { // what is here is of the past, too
					rest = append(rest, e.merge.Take(now))
				}
				past = false
				e.merge.Present()
			}
			item, ok, wait := e.merge.Next(now)
			idle := !ok && e.merge.Len() == 0
			over := idle && e.merge.Sources() == 0
			if idle && !over {
				over, wait = e.merge.Settled(0, now) // those that are open give nothing
			}
			e.mu.Unlock()
			for _, r := range rest {
				e.room(r.Source)
				if _, err := e.give(r.Value, true); err != nil {
					return err
				}
			}
			if ok {
				e.room(item.Source)
				if done, err := e.give(item.Value, past); done || err != nil {
					return err
				}
				continue
			}
			if !past || over {
				if err := e.flush(); err != nil {
					return err
				}
			}
			if over && (!e.q.Follow || !e.q.Until.IsZero() && now.After(e.q.Until)) {
				return e.end()
			}
			timer.Reset(cmp.Or(min(max(wait, 0), again), again))
			select {
			case <-e.ctx.Done():
				return nil
			case <-e.woken:
			case <-changed:
				look = e.q.Follow
			case <-timer.C:
				look = e.q.Follow
			}
		}
	}
}

// atMost is how many events an agent gives of the past; 0: it is not known.
func (e *events) atMost() uint64 {
	if e.q.Last() {
		return e.q.Number
	}
	return 0
}

// join asks the agents that are there: at first for what was asked for, later for what came since.
func (e *events) join(later bool) (changed <-chan struct{}) {
	all, changed := e.o.Peers.List()
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for _, p := range all {
		a := e.agents[p.Name]
		switch {
		case a == nil:
			a = &acting{space: make(chan struct{}, 1)}
			e.agents[p.Name] = a
			if later {
				a.latest = e.started
			}
		case a.running || now.Sub(a.ended) < again && !a.ended.IsZero():
			continue
		}
		if !p.Available {
			a.err = cmp.Or(a.err, errors.New("it cannot be reached"))
			continue
		}
		request := e.request
		if !a.latest.IsZero() {
			request = proto.CloneOf(e.request)
			request.Number, request.Since = 0, timestamppb.New(a.latest.Add(1))
		}
		a.running, a.err = true, nil
		e.merge.Open(p.Name, now)
		e.reading.Go(func() { e.read(p, a, request) })
	}
	return changed
}

func (e *events) read(p peers.Peer, a *acting, request *observerpb.GetAgentEventsRequest) {
	stream, err := observerpb.NewObserverClient(p.Conn).GetAgentEvents(e.ctx, request)
	for err == nil {
		var one *observerpb.GetAgentEventsResponse
		if one, err = stream.Recv(); err == nil {
			err = e.put(p.Name, a, one)
		}
	}
	e.mu.Lock()
	e.merge.Close(p.Name)
	a.running, a.ended = false, time.Now()
	if !errors.Is(err, io.EOF) {
		a.err = err
	}
	e.mu.Unlock()
	e.wake()
}

// put takes one in, once there is room.
func (e *events) put(from string, a *acting, one *observerpb.GetAgentEventsResponse) error {
	for {
		e.mu.Lock()
		room := e.merge.Room(from)
		if room {
			e.merge.Put(from, one.GetTime().AsTime(), one, time.Now())
			a.latest = one.GetTime().AsTime()
		}
		e.mu.Unlock()
		if room {
			e.wake()
			return nil
		}
		select {
		case <-a.space:
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
}

func (e *events) wake() {
	select {
	case e.woken <- struct{}{}:
	default:
	}
}

func (e *events) room(of string) {
	e.mu.Lock()
	a := e.agents[of]
	e.mu.Unlock()
	select {
	case a.space <- struct{}{}:
	default:
	}
}

// give sends one, or holds it back as long as it may not be of the last ones.
func (e *events) give(one *observerpb.GetAgentEventsResponse, past bool) (done bool, err error) {
	if past && e.q.Last() && e.q.Number < allOf {
		if e.last = append(e.last, one); uint64(len(e.last)) > e.q.Number {
			e.last[0] = nil
			e.last = e.last[1:]
		}
		return false, nil
	}
	if err := e.flush(); err != nil {
		return false, err
	}
	if err := e.o.Holds(e.ctx); err != nil {
		return false, err
	}
	e.sent++
	return e.q.First && e.q.Number > 0 && e.sent == e.q.Number, e.stream.Send(one)
}

// flush sends what was held back.
func (e *events) flush() error {
	held := e.last
	e.last = nil
	for _, one := range held {
		if err := e.stream.Send(one); err != nil {
			return err
		}
	}
	return nil
}

// end tells of agents that gave nothing, or not all.
func (e *events) end() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	failed := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.agents)) {
		a := e.agents[name]
		why := ""
		switch {
		case a.running:
			why = fmt.Sprintf("no answer within %s", e.o.Answer)
		case a.err != nil:
			why = status.Convert(a.err).Message()
		default:
			continue
		}
		failed[why] = append(failed[why], name)
	}
	var text []string
	count := 0
	for _, why := range slices.Sorted(maps.Keys(failed)) {
		count += len(failed[why])
		text = append(text, fmt.Sprintf("no agent events of %s: %s", strings.Join(failed[why], ", "), why))
	}
	if count > 0 && count == len(e.agents) {
		return status.Error(codes.Unavailable, strings.Join(text, "; "))
	}
	for _, t := range text {
		e.stream.SetTrailer(metadata.Pairs(e.o.Reason, t))
	}
	return nil
}
