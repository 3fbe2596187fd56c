// Package follow is a client that follows all flows of a cluster through weft-relay while agents come and go, and holds what it was told
// against what it knows: connections that it has made itself.
//
// # The world it models
//
//	calls, one port each --> agents a, b --mTLS--> weft-relay --mTLS--> client
//
// Each connection between pods of two nodes ends on either of them: two events, each of which is told once. An agent that ends takes with
// it what it has read and not passed on: the client hears since when flows of the node may be missing. What no agent has read waits for
// the next one, as far as there is room, and what there was no room for is told by number and time.
//
// # Invariants
//
//   - What is told twice is an error, and so is what is missing, unless it was told that flows of this node may be missing of this time, or how
//     many are lost, and of which time. A connection has ended on both nodes while it was called, not before and not after.
//   - An agent is back when it has told of a connection that was made since (Rejoined).
//   - What agents did before they were asked, and what ends after Stop, is not looked at.
//
// # Example
//
//	files, err := follow.Certificates(dir)
//	… nodes with files.Settings() …
//	f, err := follow.Start(ctx, a, files, a, b)
//	err = f.Call(ctx, web, netip.AddrPortFrom(db.Addresses[0], 80)) // from now on
//	… restart an agent …
//	err = f.Rejoined(ctx)
//	account, err := f.Stop(ctx)
package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/pace"
	"weftnet.io/weftnet/internal/relay/resume"
)

const (
	firstPort = 20000
	enough    = 30000 // connections are followed up to this port; those that show that agents are there go on
	lastPort  = 32000 // what programs get without asking begins above
	every     = 10 * time.Millisecond
	patience  = 30 * time.Second // for one call
	again     = 3 * time.Second  // after which another call is made, if one that shows that agents are there was not told: it may be lost. The relay holds a flow for a second
)

// Follower follows.
type Follower struct {
	nodes  []string
	relay  *process
	cancel context.CancelFunc
	over   chan struct{} // closes when nothing more is heard

	from *netns.Station
	to   netip.AddrPort
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards what follows
	news    chan struct{}
	err     error  // of the stream
	failed  error  // of the first call that did
	port    uint16 // of the next call
	made    map[uint16]span
	heard   map[string]map[uint16]int // by node and port: ends of connections
	joined  map[string]bool           // nodes that are there, as the client was told
	missing map[string][]span         // of which flows of nodes may be missing, as it was told
	losses  map[string][]loss         // flows that are told as lost, by node
}

// span is from one moment to another.
type span struct{ from, to time.Time }

func (s span) meets(other span) bool { return !s.from.After(other.to) && !other.from.After(s.to) }

// loss is news of as many flows; span zero: of any time.
type loss struct {
	span
	number uint64
}

// Start starts a relay on a node, and follows the flows of all nodes once they are there.
func Start(ctx context.Context, at *nettest.Node, files Files, nodes ...*nettest.Node) (*Follower, error) {
	r, err := startRelay(at, files)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	f := &Follower{
		relay: r, cancel: cancel, over: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}), news: make(chan struct{}),
	}
	for _, n := range nodes {
		f.nodes = append(f.nodes, n.Name)
	}
	f.begin()
	go f.listen(life)
	if err := f.Rejoined(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// begin has nothing heard yet.
func (f *Follower) begin() {
	f.port, f.made, f.heard = firstPort, map[uint16]span{}, map[string]map[uint16]int{}
	f.joined, f.missing, f.losses = map[string]bool{}, map[string][]span{}, map[string][]loss{}
	for _, n := range f.nodes {
		f.heard[n] = map[uint16]int{}
	}
}

// await waits until what is heard makes something true.
func (f *Follower) await(ctx context.Context, what string, is func() bool) error {
	for {
		f.mu.Lock()
		ok, news, err := is(), f.news, f.err
		f.mu.Unlock()
		switch {
		case ok:
			return nil
		case err != nil:
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w; the relay said:\n%s", what, ctx.Err(), f.relay.said())
		}
	}
}

// listen takes in what the relay says until ctx ends.
func (f *Follower) listen(ctx context.Context) {
	defer close(f.over)
	stream, err := f.relay.follow(ctx)
	for err == nil {
		var one *observerpb.GetFlowsResponse
		if one, err = stream.Recv(); err == nil {
			f.take(one)
		}
	}
	f.mu.Lock()
	f.err = fmt.Errorf("the relay ended the request: %w", err)
	f.tell()
	f.mu.Unlock()
}

// tell wakes who waits; mu is held.
func (f *Follower) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

// nodeOf is the node of a cluster/node.
func nodeOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func (f *Follower) take(one *observerpb.GetFlowsResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell()
	switch {
	case one.GetNodeStatus() != nil:
		since, some := resume.MissingSince(one.GetNodeStatus())
		for _, name := range one.GetNodeStatus().GetNodeNames() {
			name = nodeOf(name)
			if f.joined[name] = one.GetNodeStatus().GetStateChange() == relaypb.NodeState_NODE_CONNECTED; some {
				f.missing[name] = append(f.missing[name], span{since, one.GetTime().AsTime()})
			}
		}
	case one.GetLostEvents() != nil:
		l, name := loss{number: one.GetLostEvents().GetNumEventsLost()}, nodeOf(one.GetNodeName())
		if first, last := one.GetLostEvents().GetFirst(), one.GetLostEvents().GetLast(); first != nil && last != nil {
			l.span = span{first.AsTime(), last.AsTime()}
		}
		f.losses[name] = append(f.losses[name], l)
	case one.GetFlow().GetEventType().GetSubType() == flow.PointClose && flow.ExtraOf(one.GetFlow()).Close != nil:
		if ports := f.heard[nodeOf(one.GetNodeName())]; ports != nil && one.GetFlow().GetIP().GetDestination() == f.to.Addr().String() {
			ports[uint16(one.GetFlow().GetL4().GetTCP().GetSourcePort())]++
		}
	}
}

// Call begins to call a server again and again, from another port each time, as soon as each node has told of one call.
func (f *Follower) Call(ctx context.Context, from *netns.Station, to netip.AddrPort) error {
	f.mu.Lock()
	f.from, f.to = from, to
	f.mu.Unlock()
	if err := f.Rejoined(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	clear(f.made) // whether agents were asked when these ended is not known
	f.mu.Unlock()
	go func() {
		defer close(f.done)
		tick := time.NewTicker(pace.Slow(every))
		defer tick.Stop()
		for {
			select {
			case <-f.stop:
				return
			case <-tick.C:
				if port := f.next(); port >= enough || f.call(context.Background(), port) != nil { // the error is remembered
					return
				}
			}
		}
	}()
	return nil
}

// next is the port of the next connection.
func (f *Follower) next() uint16 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.port++
	return f.port
}

// call makes one connection.
func (f *Follower) call(ctx context.Context, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	c, err := f.from.Open(ctx, "tcp", int(port), f.to)
	if err == nil {
		if _, err = c.Say(ctx, "hello", 0); err == nil {
			err = c.Finish(ctx)
		}
		c.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made[port] = span{began, time.Now()}
	if err != nil {
		err = fmt.Errorf("call from port %d: %w", port, err)
		f.failed = cmp.Or(f.failed, err)
	}
	return err
}

// Account is what became of the connections.
type Account struct {
	Made    int // connections, each of which ends on every node
	Missing int // ends that were not told, of times of which flows may be missing, as was told
	Times   int // such times
	Told    int // other ends that were not told, among lost flows that were told by number
	Lost    uint64
}

// String is a line of a report.
func (a Account) String() string {
	return fmt.Sprintf("%d connections followed, %d ends missing of %d times that were told, %d among %d flows told as lost", a.Made, a.Missing, a.Times, a.Told, a.Lost)
}

// Stop ends the calls and waits until the end of a last one is told by each node. It is an error if anything was told twice, or is missing
// and nothing said so.
func (f *Follower) Stop(ctx context.Context) (Account, error) {
	close(f.stop)
	<-f.done
	err := f.Rejoined(ctx) // the flows of a node stay in its order: what comes before the last one has been told
	if closed := f.close(); err == nil {
		err = closed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, wrong := f.account()
	return a, errors.Join(err, f.failed, wrong)
}

// account holds what was heard against what was made; mu is held.
func (f *Follower) account() (a Account, err error) {
	a.Made = len(f.made)
	var wrong []string
	for _, n := range f.nodes {
		a.Times += len(f.missing[n])
		for _, l := range f.losses[n] {
			a.Lost += l.number
		}
		for _, port := range slices.Sorted(maps.Keys(f.made)) {
			when := f.made[port]
			switch times := f.heard[n][port]; {
			case times > 1:
				wrong = append(wrong, fmt.Sprintf("node %s told %d times of the end of the connection from port %d", n, times, port))
			case times == 1:
			case slices.ContainsFunc(f.missing[n], when.meets):
				a.Missing++
			case f.lost(n, when):
				a.Told++
			default:
				wrong = append(wrong, fmt.Sprintf("node %s did not tell of the end of the connection from port %d, between %s and %s, and nothing said that anything is missing then", n, port, clock(when.from), clock(when.to)))
			}
		}
	}
	if len(wrong) == 0 {
		return a, nil
	}
	slices.Sort(wrong)
	if len(wrong) > 20 {
		wrong = append(wrong[:20], fmt.Sprintf("and %d more", len(wrong)-20))
	}
	for _, n := range f.nodes {
		for _, s := range f.missing[n] {
			wrong = append(wrong, fmt.Sprintf("of node %s flows may be missing from %s to %s", n, clock(s.from), clock(s.to)))
		}
	}
	return a, errors.New(strings.Join(wrong, "\n"))
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000000") }

// lost takes one of those that a node told as lost of that time, if there is one left; mu is held.
func (f *Follower) lost(node string, when span) bool {
	for i, l := range f.losses[node] {
		if l.number > 0 && (l.span == span{} || l.meets(when)) {
			f.losses[node][i].number--
			return true
		}
	}
	return false
}

// Close ends all of it, whatever was told.
func (f *Follower) Close() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	_ = f.close() // of no interest now
}

// Rejoined waits until all nodes are there, and each has told of a call that was made since then.
func (f *Follower) Rejoined(ctx context.Context) error {
	if err := f.await(ctx, "all nodes are there", func() bool {
		return !slices.ContainsFunc(f.nodes, func(n string) bool { return !f.joined[n] })
	}); err != nil || !f.to.IsValid() {
		return err
	}
	for {
		port := f.next()
		if port > lastPort {
			return fmt.Errorf("there are no ports left, of %d", lastPort-firstPort)
		}
		if err := f.call(ctx, port); err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, pace.Slow(again))
		err := f.await(short, fmt.Sprintf("each node tells of the end of the connection from port %d", port), func() bool {
			return !slices.ContainsFunc(f.nodes, func(n string) bool { return f.heard[n][port] == 0 })
		})
		cancel()
		if err == nil || ctx.Err() != nil || short.Err() == nil {
			return err
		}
	}
}

// close ends the relay and its client.
func (f *Follower) close() error {
	f.cancel()
	<-f.over
	return f.relay.close()
}
