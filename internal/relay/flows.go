package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/frame"
	"weftnet.io/weftnet/internal/relay/merge"
	"weftnet.io/weftnet/internal/relay/resume"
)

// The last flows of a request are here until all agents have given theirs, so their number has a limit. A number that no agent
// has means all.
const (
	mostLast = 50_000
	allOf    = 1 << 32
)

// settling is how long, at most, the past of a request that follows is read before the present begins.
const settling = 10 * time.Second

// again is when an agent is asked again after it ended a request that follows.
const again = 2 * time.Second

// GetFlows asks all agents and sends what they give in one order.
func (s *Server) GetFlows(r *observerpb.GetFlowsRequest, stream grpc.ServerStreamingServer[observerpb.GetFlowsResponse]) error {
	v, err := viewOf(stream.Context())
	if err != nil {
		return err
	}
	q, err := query.New(r)
	if err == nil && q.Last() && q.Number > mostLast && q.Number < allOf {
		err = fmt.Errorf("number: the last %d flows of a cluster are more than a relay keeps to put them in order, which is %d: ask for fewer, for all, or for a time (since)", q.Number, mostLast)
	}
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	leave, err := s.crowd.Enter(v.reader.Name())
	if err != nil {
		return err
	}
	defer leave()
	asked, err := v.asks(stream.Context(), r, q)
	if err != nil {
		return err
	}
	s.numbers.requests.Add(1)
	s.numbers.running.Add(1)
	defer s.numbers.running.Add(-1)
	ctx, cancel := context.WithCancel(stream.Context())
	limits := merge.Limits{Window: s.o.Window, Patience: s.o.Answer, Most: s.most()}
	if q.Follow {
		limits.Patience = s.o.Window // what is stored comes without a pause
	}
	g := &gather{
		s: s, q: q, view: v, request: asked, stream: stream, ctx: ctx, started: time.Now(),
		merge: merge.New[item](limits), readers: map[string]*reader{}, sources: map[string]*reader{}, woken: make(chan struct{}, 1),
		told: map[string]relaypb.NodeState{}, past: true,
	}
	if q.Last() && q.Number < allOf {
		g.last = &tail{most: q.Number}
	}
	if q.Follow && g.last == nil && q.Since.IsZero() && q.Number == 0 {
		g.past = false
		g.merge.Present()
	}
	defer g.reading.Wait()
	defer cancel()
	return g.run()
}

// most is how many flows may be here for one more request: fewer where there are many, so that all of them together are bounded, too.
func (s *Server) most() int {
	return max(s.o.Most/20, s.o.Most*8/(8+int(s.numbers.running.Load())))
}

// gather answers one request.
type gather struct {
	s       *Server
	q       query.Query
	view    *view
	request *observerpb.GetFlowsRequest // for agents
	stream  grpc.ServerStreamingServer[observerpb.GetFlowsResponse]
	ctx     context.Context
	started time.Time
	reading sync.WaitGroup
	woken   chan struct{} // a reader has done something

	mu    sync.Mutex // guards what follows
	merge *merge.Merge[item]
	ended []end

	// Of the loop alone.
	readers map[string]*reader           // by node
	sources map[string]*reader           // by what it is called in merge: no two are alike, though a node may have had another reader
	joined  bool                         // agents were asked
	told    map[string]relaypb.NodeState // what the client knows of nodes
	last    *tail                        // holds back what may be older than what was asked for; nil: nothing is held back
	past    bool                         // what is stored is being read
	asked   int                          // agents were asked, those that came back more than once
	sent    uint64
}

// item is what an agent gave.
type item struct {
	*frame.Frame
	shown *observerpb.GetFlowsResponse // what the client is sent instead; nil: the frame
}

// reader takes in what one agent gives.
type reader struct {
	node    string
	source  string        // what it is called in merge
	space   chan struct{} // there is room again
	running bool          // of the loop
	failed  time.Time     // when it ended with an error

	place resume.Place
	shown time.Time // the latest flow that goes to the client, or since when it asks for some
}

// end is that of a reader.
type end struct {
	reader *reader
	err    error // nil: it has given all
}

// run merges until everything was sent, or the client leaves.
func (g *gather) run() error {
	timer := time.NewTimer(again)
	defer timer.Stop()
	for {
		changed, err := g.join()
		if err != nil {
			return err
		}
		asked := time.Now()
		for look := false; !look; look = look || time.Since(asked) >= again { // one that ended is asked again where flows never pause, too
			if err := g.report(); err != nil {
				return err
			}
			done, more, wait, err := g.step()
			if done || err != nil {
				return err
			}
			if more {
				select {
				case <-g.ctx.Done():
					return nil // the client knows best why
				case <-changed:
					look = true
				default:
				}
				continue
			}
			timer.Reset(cmp.Or(min(wait, again), again))
			select {
			case <-g.ctx.Done():
				return nil
			case <-g.woken:
			case <-changed:
				look = true
			case <-timer.C:
				look = true // one that ended may be asked again
			}
		}
	}
}

// join asks those agents that are there, at first and while the request follows, and tells the client of nodes that come and go.
func (g *gather) join() (changed <-chan struct{}, err error) {
	all, changed := g.s.peers.List()
	if g.joined && !g.q.Follow {
		return changed, nil
	}
	defer func() { g.joined = true }()
	now := time.Now()
	states, there := map[relaypb.NodeState][]string{}, map[string]bool{}
	tell := func(name string, state relaypb.NodeState) {
		if g.told[name] != state {
			g.told[name] = state
			states[state] = append(states[state], name)
		}
	}
	for _, p := range all {
		there[p.Name] = true
		r := g.readers[p.Name]
		switch {
		case r != nil && r.running:
			continue
		case !p.Available:
			tell(p.Name, relaypb.NodeState_NODE_UNAVAILABLE)
			continue
		case r == nil:
			r = &reader{node: p.Name, space: make(chan struct{}, 1), shown: g.since()}
			g.readers[p.Name] = r
			if g.joined {
				r.place.Latest = g.started // it was away, or not there, when the others were asked
			}
		case r.failed.IsZero(), now.Sub(r.failed) < again: // it has given all, or failed just now
			continue
		}
		tell(p.Name, relaypb.NodeState_NODE_CONNECTED)
		delete(g.sources, r.source)
		g.asked++
		r.running, r.source = true, fmt.Sprintf("%s\x00%d", p.Name, g.asked)
		g.sources[r.source] = r
		g.mu.Lock()
		g.merge.Open(r.source, now)
		g.mu.Unlock()
		request := g.ask(r)
		g.reading.Go(func() { g.read(r, p.Conn, request) })
	}
	for name := range g.told {
		if !there[name] && g.told[name] != relaypb.NodeState_NODE_GONE {
			tell(name, relaypb.NodeState_NODE_GONE)
			delete(g.readers, name)
		}
	}
	for _, state := range slices.Sorted(maps.Keys(states)) {
		if err := g.status(state, states[state], ""); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// since is since when flows are asked for.
func (g *gather) since() time.Time {
	switch {
	case !g.q.Since.IsZero():
		return g.q.Since
	case g.q.Number > 0:
		return time.Unix(0, 0) // since when the last ones are is not known
	}
	return g.started
}

// ask is the request for an agent: as the client said it, or for what came since, if the agent was away.
func (g *gather) ask(r *reader) *observerpb.GetFlowsRequest {
	if r.place.Latest.IsZero() {
		return g.request
	}
	out := proto.CloneOf(g.request)
	out.Number, out.First = 0, false
	mask := g.request.GetFieldMask().GetPaths()
	if since := r.place.Again(len(mask) == 0 || slices.Contains(mask, "uuid")); since.After(g.q.Since) {
		out.Since = timestamppb.New(since)
	}
	return out
}

// read takes in what an agent gives, as far as there is room.
func (g *gather) read(r *reader, conn *grpc.ClientConn, request *observerpb.GetFlowsRequest) {
	err := g.s.taps.Read(g.ctx, conn, request, func(all []*frame.Frame) error { return g.take(r, all) })
	g.mu.Lock()
	g.merge.Close(r.source)
	g.ended = append(g.ended, end{r, err})
	g.mu.Unlock()
	g.wake()
}

// take takes in some.
func (g *gather) take(r *reader, all []*frame.Frame) error {
	if err := g.view.holds(g.ctx); err != nil {
		return err
	}
	items := make([]item, 0, len(all))
	skipped, read := false, false
	for _, f := range all {
		if !r.place.Note(f) {
			continue
		}
		one := item{Frame: f}
		if !g.view.all {
			var err error
			if one.shown, err = g.pass(f); err != nil {
				return err
			}
			if one.shown == nil {
				skipped, read = true, read || !f.Time().Before(g.started)
				continue
			}
		}
		if at := f.Time(); f.Kind() == frame.Flow && at.After(r.shown) {
			r.shown = at
		}
		items = append(items, one)
	}
	if skipped {
		g.mu.Lock()
		g.merge.Skip(r.source, read, time.Now())
		g.mu.Unlock()
	}
	for len(items) > 0 {
		now := time.Now()
		g.mu.Lock()
		n := 0
		for ; n < len(items) && g.merge.Room(r.source); n++ {
			g.merge.Put(r.source, items[n].Time(), items[n], now)
		}
		g.mu.Unlock()
		if items = items[n:]; n > 0 {
			g.wake()
			continue
		}
		select {
		case <-r.space:
		case <-g.ctx.Done():
			return g.ctx.Err()
		}
	}
	return nil
}

// pass gives what the client is sent of what an agent gave, who may not see everything; nil: nothing. What it may see comes first, then
// what it wants of that.
func (g *gather) pass(f *frame.Frame) (*observerpb.GetFlowsResponse, error) {
	one, err := f.Message()
	if err != nil {
		return nil, err
	}
	shown, err := g.view.show(g.ctx, one)
	if f := shown.GetFlow(); f != nil {
		if !g.q.Want(f) {
			return nil, nil
		}
		shown.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: g.q.Mask.Apply(f)}
	}
	return shown, err
}

func (g *gather) wake() {
	select {
	case g.woken <- struct{}{}:
	default:
	}
}

// report tells the client of readers that have ended with errors. A request that an agent says makes no sense ends.
func (g *gather) report() error {
	g.mu.Lock()
	ended := g.ended
	g.ended = nil
	g.mu.Unlock()
	failures, since := map[string][]string{}, map[string]time.Time{}
	for _, e := range ended {
		r := e.reader
		if r.running = false; g.readers[r.node] != r {
			delete(g.sources, r.source)
			continue // the node is gone
		}
		var refusal refused
		switch {
		case errors.As(e.err, &refusal) && g.ctx.Err() == nil:
			return refusal.error
		case g.ctx.Err() != nil, e.err == nil && !(g.q.Follow && g.q.Until.IsZero()):
			continue
		case status.Code(e.err) == codes.InvalidArgument && g.view.all:
			return e.err
		}
		if r.failed = time.Now(); r.place.Latest.IsZero() {
			r.place.Latest = g.started
		}
		message := "it ended the request"
		if e.err != nil {
			message = status.Convert(e.err).Message()
		}
		g.s.o.Log.Warn("a node ended a request for flows", "node", r.node, "error", message)
		failures[message] = append(failures[message], r.node)
		if since[message].IsZero() || r.shown.Before(since[message]) {
			since[message] = r.shown
		}
		g.told[r.node] = relaypb.NodeState_NODE_ERROR
	}
	for _, message := range slices.Sorted(maps.Keys(failures)) {
		said := g.reason(message)
		if g.q.Follow { // else nothing comes after it
			said += resume.Missing(since[message])
		}
		if err := g.status(relaypb.NodeState_NODE_ERROR, failures[message], said); err != nil {
			return err
		}
	}
	return nil
}

// reason is what the client is told of an agent that failed. What the agent said is for those who see everything: it has addresses in it.
func (g *gather) reason(said string) string {
	if g.view.all {
		return said
	}
	return "it does not answer, or has ended the request"
}

// status tells the client of nodes.
func (g *gather) status(state relaypb.NodeState, names []string, message string) error {
	slices.Sort(names)
	names = g.view.names(names)
	return g.stream.Send(&observerpb.GetFlowsResponse{
		Time: timestamppb.Now(),
		ResponseTypes: &observerpb.GetFlowsResponse_NodeStatus{NodeStatus: &relaypb.NodeStatusEvent{
			StateChange: state, NodeNames: names, Message: message,
		}},
	})
}

// step sends the next one that may go. done: that was all. Else more tells whether there may be another at once, and if not wait how
// long until there is, if nothing comes before.
func (g *gather) step() (done, more bool, wait time.Duration, err error) {
	now := time.Now()
	if g.past && g.q.Follow {
		over, remaining := g.settled(now)
		if over {
			return false, true, 0, g.begin(now)
		}
		wait = remaining
	}
	g.mu.Lock()
	item, ok, until := g.merge.Next(now)
	empty := !ok && g.merge.Len() == 0 && len(g.ended) == 0
	all := empty && g.merge.Sources() == 0
	stuck := false
	if empty && !all && !g.q.Follow {
		stuck, until = g.merge.Settled(0, now)
	}
	g.mu.Unlock()
	switch {
	case ok:
		g.room(item.Source)
		done, err = g.give(item.Value)
		return done, true, 0, err
	case stuck:
		if err := g.abandon(); err != nil {
			return false, false, 0, err
		}
		return true, false, 0, g.flush()
	case all && (!g.q.Follow || !g.q.Until.IsZero() && now.After(g.q.Until)):
		return true, false, 0, g.flush()
	case until > 0 && (wait == 0 || until < wait):
		wait = until
	}
	return false, false, wait, nil
}

// abandon tells the client of agents that have more, or an end, to give and give nothing.
func (g *gather) abandon() error {
	var names []string
	for name, r := range g.readers {
		if r.running {
			names = append(names, name)
		}
	}
	return g.status(relaypb.NodeState_NODE_ERROR, names, g.reason(fmt.Sprintf("no answer within %s", g.s.o.Answer)))
}

func (g *gather) room(of string) {
	if r := g.sources[of]; r != nil {
		select {
		case r.space <- struct{}{}:
		default:
		}
	}
}

// settled tells whether what is stored has been read.
func (g *gather) settled(now time.Time) (bool, time.Duration) {
	number := uint64(0)
	if g.last != nil && g.view.all { // else it is not known how many of those that an agent has are of these
		number = g.q.Number
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	over, wait := g.merge.Settled(number, now)
	return over || now.Sub(g.started) >= settling, wait
}

// begin ends the past: the last flows of all that is here are known now.
func (g *gather) begin(now time.Time) error {
	g.past = false
	g.mu.Lock()
	var rest []merge.Item[item]
	for g.last != nil && g.merge.Len() > 0 {
		rest = append(rest, g.merge.Take(now))
	}
	g.merge.Present()
	g.mu.Unlock()
	for _, item := range rest {
		g.room(item.Source)
		if _, err := g.give(item.Value); err != nil {
			return err
		}
	}
	return g.flush()
}

// flush sends what was held back.
func (g *gather) flush() error {
	held := g.last
	g.last = nil
	if held == nil {
		return nil
	}
	for _, one := range held.items {
		if _, err := g.give(one); err != nil {
			return err
		}
	}
	return nil
}

// give sends one, or holds it back until it is known whether it is of the last ones. done tells that those were all.
func (g *gather) give(one item) (done bool, err error) {
	if g.last != nil {
		g.last.add(one)
		return false, nil
	}
	if err := g.send(one); err != nil {
		return false, err
	}
	switch one.Kind() {
	case frame.Lost:
		m, err := one.Message()
		if err != nil {
			return false, err
		}
		g.s.numbers.lost.Add(cmp.Or(one.shown, m).GetLostEvents().GetNumEventsLost())
	case frame.Flow:
		g.s.numbers.flows.Add(1)
		g.sent++
		return g.q.First && g.q.Number > 0 && g.sent == g.q.Number, nil
	}
	return false, nil
}

func (g *gather) send(one item) error {
	if one.shown == nil {
		return g.stream.SendMsg(one.Frame)
	}
	g.view.sends(one.shown)
	return g.stream.Send(one.shown)
}

// tail keeps the last flows, and the news of losses between them.
type tail struct {
	most  uint64
	items []item
	flows uint64
}

func (t *tail) add(one item) {
	t.items = append(t.items, one)
	if one.Kind() != frame.Flow {
		return
	}
	for t.flows++; t.flows > t.most || t.flows == t.most && t.items[0].Kind() != frame.Flow; t.items = t.items[1:] {
		if t.items[0].Kind() == frame.Flow {
			t.flows--
		}
		t.items[0] = item{}
	}
}
