// Package follow is a client that follows all flows of a cluster through weft-relay while agents come and go, and holds what it was told
// against what it knows: connections that it has made itself.
//
// # The world it models
//
//	calls, one port each --> agents a, b --mTLS--> weft-relay --mTLS--> client
//
// Each connection between pods of two nodes ends on either of them: two events, each of which is told once. An agent that ends takes with
// it what it has read and not passed on: the client hears that the node is away, and nothing may be missing but of that time.
//
// # Invariants
//
//   - What is told twice is an error, and so is what is missing without news that this node was away then, or that flows were lost.
//   - An agent is not ended again before the client was told that it is back (Rejoined): it would take with it what it has for the client.
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
	"context"
	"errors"
	"fmt"
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
)

const (
	firstPort = 20000
	trials    = 60    // ports before it, of calls until agents are asked
	lastPort  = 32000 // what programs get without asking begins above
	every     = 10 * time.Millisecond
	patience  = 30 * time.Second // for one call
	slack     = 2 * time.Second  // between what a flow says and what was heard beside it: a relay puts flows in order within a second
)

// Follower follows.
type Follower struct {
	nodes  []string
	relay  *relay
	cancel context.CancelFunc
	over   chan struct{} // closes when nothing more is heard

	from *netns.Station
	to   netip.AddrPort
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex // guards what follows
	news   chan struct{}
	err    error // of the stream
	failed error // of the first call that did
	made   map[uint16]span
	heard  map[string]map[uint16]int // by node and port: ends of connections
	away   map[string][]span         // when nodes were away
	joined map[string]bool           // nodes that are there, as the client was told
	lost   map[string]uint64         // flows that are told as lost, by node
}

// span is from one moment to another; zero: it has no end yet.
type span struct{ from, to time.Time }

// Start starts a relay on a node, and follows the flows of all nodes once they are there.
func Start(ctx context.Context, at *nettest.Node, files Files, nodes ...*nettest.Node) (*Follower, error) {
	r, err := startRelay(at, files)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.Background())
	f := &Follower{
		relay: r, cancel: cancel, over: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}), news: make(chan struct{}),
		made: map[uint16]span{}, heard: map[string]map[uint16]int{}, away: map[string][]span{}, joined: map[string]bool{}, lost: map[string]uint64{},
	}
	for _, n := range nodes {
		f.nodes = append(f.nodes, n.Name)
		f.heard[n.Name] = map[uint16]int{}
	}
	go f.listen(life)
	if err := f.Rejoined(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
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
			f.take(one, time.Now())
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

func (f *Follower) take(one *observerpb.GetFlowsResponse, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.tell()
	switch {
	case one.GetNodeStatus() != nil:
		there := one.GetNodeStatus().GetStateChange() == relaypb.NodeState_NODE_CONNECTED
		for _, name := range one.GetNodeStatus().GetNodeNames() {
			f.state(nodeOf(name), there, now)
		}
	case one.GetLostEvents() != nil:
		f.lost[nodeOf(one.GetNodeName())] += one.GetLostEvents().GetNumEventsLost()
	case one.GetFlow().GetEventType().GetSubType() == flow.PointClose && flow.ExtraOf(one.GetFlow()).Close != nil:
		if ports := f.heard[nodeOf(one.GetNodeName())]; ports != nil && one.GetFlow().GetIP().GetDestination() == f.to.Addr().String() {
			ports[uint16(one.GetFlow().GetL4().GetTCP().GetSourcePort())]++
		}
	}
}

// state notes that a node is there, or is not; mu is held.
func (f *Follower) state(name string, there bool, now time.Time) {
	spans := f.away[name]
	switch last := len(spans) - 1; {
	case !there && (last < 0 || !spans[last].to.IsZero()):
		f.away[name] = append(spans, span{from: now})
		delete(f.joined, name)
	case there:
		f.joined[name] = true
		if last >= 0 && spans[last].to.IsZero() {
			spans[last].to = now
		}
	}
}

// Call begins to call a server again and again, from another port each time, as soon as each node has told of one call.
func (f *Follower) Call(ctx context.Context, from *netns.Station, to netip.AddrPort) error {
	f.mu.Lock()
	f.from, f.to = from, to
	f.mu.Unlock()
	told := func() bool { return !slices.ContainsFunc(f.nodes, func(n string) bool { return len(f.heard[n]) == 0 }) }
	for port := uint16(firstPort - trials); ; port++ {
		f.call(ctx, port)
		short, cancel := context.WithTimeout(ctx, time.Second)
		err := f.await(short, "each node tells of a first call", told)
		cancel()
		if err == nil {
			break
		}
		if port == firstPort-1 || ctx.Err() != nil {
			return err
		}
	}
	f.mu.Lock()
	clear(f.made) // whether agents were asked when these ended is not known
	f.mu.Unlock()
	go func() {
		defer close(f.done)
		tick := time.NewTicker(pace.Slow(every))
		defer tick.Stop()
		for port := uint16(firstPort); port < lastPort; port++ {
			select {
			case <-f.stop:
				return
			case <-tick.C:
				f.call(context.Background(), port)
			}
		}
	}()
	return nil
}

// call makes one connection.
func (f *Follower) call(ctx context.Context, port uint16) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	c, err := f.from.Open(ctx, "tcp", int(port), f.to)
	if err == nil {
		_, err = c.Say(ctx, "hello", 0)
		c.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made[port] = (span{began, time.Now()}); err != nil && f.failed == nil {
		f.failed = fmt.Errorf("call from port %d: %w", port, err)
	}
}

// Account is what became of the connections.
type Account struct {
	Made    int // connections, each of which ends on every node
	Missing int // ends that were not told, of nodes that were away then
	Away    int // how often nodes were away
	Told    int // other ends that were not told, of nodes that told of as many lost flows
	Lost    uint64
}

// String is a line of a report.
func (a Account) String() string {
	return fmt.Sprintf("%d connections followed, %d ends missing while nodes were away (%d times), %d among %d flows told as lost", a.Made, a.Missing, a.Away, a.Told, a.Lost)
}

// Stop ends the calls and waits until the end of a last one is told by each node. It is an error if anything was told twice, or is missing
// and nothing said so.
func (f *Follower) Stop(ctx context.Context) (Account, error) {
	close(f.stop)
	<-f.done
	err := f.Rejoined(ctx)
	if err == nil { // the relay has flows in order: what comes before this one has been told
		f.call(ctx, lastPort)
		err = f.await(ctx, "the end of a last call is told by each node", func() bool {
			return !slices.ContainsFunc(f.nodes, func(n string) bool { return f.heard[n][lastPort] == 0 })
		})
	}
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
		a.Away += len(f.away[n])
		a.Lost += f.lost[n]
		told := f.lost[n] // of these, as many may be ends
		for port, when := range f.made {
			switch times := f.heard[n][port]; {
			case times > 1:
				wrong = append(wrong, fmt.Sprintf("node %s told %d times of the end of the connection from port %d", n, times, port))
			case times == 0 && f.excused(n, when):
				a.Missing++
			case times == 0 && told > 0:
				told--
				a.Told++
			case times == 0:
				wrong = append(wrong, fmt.Sprintf("node %s did not tell of the end of the connection from port %d, at %s, and nothing said that anything is missing then", n, port, when.to.Format("15:04:05.000")))
			}
		}
	}
	if len(wrong) == 0 {
		return a, nil
	}
	slices.Sort(wrong)
	for _, n := range f.nodes {
		for _, s := range f.away[n] {
			wrong = append(wrong, fmt.Sprintf("node %s was away from %s to %s", n, s.from.Format("15:04:05.000"), s.to.Format("15:04:05.000")))
		}
	}
	if len(wrong) > 20 {
		wrong = append(wrong[:20], fmt.Sprintf("and %d more", len(wrong)-20))
	}
	return a, errors.New(strings.Join(wrong, "\n"))
}

// excused tells whether the client was told that a node was away when a connection ended.
func (f *Follower) excused(node string, when span) bool {
	return slices.ContainsFunc(f.away[node], func(s span) bool {
		return !when.to.Before(s.from.Add(-slack)) && (s.to.IsZero() || !when.from.After(s.to.Add(slack)))
	})
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

// Rejoined waits until the client was told that all nodes are there.
func (f *Follower) Rejoined(ctx context.Context) error {
	return f.await(ctx, "all nodes are there again", func() bool { return len(f.joined) == len(f.nodes) })
}

// close ends the relay and its client.
func (f *Follower) close() error {
	f.cancel()
	<-f.over
	return f.relay.close()
}
