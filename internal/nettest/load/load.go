// Package load keeps traffic going between stations while something happens to their nodes, and counts what was lost.
//
// # The world it models
//
// A line is one kind of traffic with a name: pings, datagrams, words on one TCP connection, calls that each begin anew, or
// datagrams that ought not to arrive. Numbered messages leave at a steady rate, whatever becomes of the answers, so a gap in
// the numbers that came back is a packet that was lost. TCP repeats what is lost, so its line loses only if the connection
// breaks; it tells how often TCP repeated itself, less the times the other side said that it had the original already (RFC
// 2883). A machine that is busy for seconds makes TCP repeat itself, too.
//
// # Invariants
//
//   - Stop waits for what is on its way: a message counts as lost when nothing more comes for a while.
//   - A line that cannot go on keeps its error, and everything it did not send is not counted.
//
// # Example
//
//	l := load.New()
//	err := l.Ping("web to db", web, db.Addresses[0], time.Millisecond)
//	… restart something …
//	for _, c := range l.Stop() { fmt.Println(c) } // web to db: 12000 sent, 0 lost, longest silence 4ms
package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a message may be under way, on a machine that is busy.
const patience = 30 * time.Second

// Count is what became of a line.
type Count struct {
	Name    string
	Sent    int
	Lost    int           // no answer
	Twice   int           // of TCP: sent once more
	Longest time.Duration // between two answers; of calls: the slowest
	Err     error         // why it ended before its time, or the first call that failed
}

// String is a line of a report.
func (c Count) String() string {
	text := fmt.Sprintf("%s: %d sent, %d lost, longest silence %v", c.Name, c.Sent, c.Lost, c.Longest.Round(time.Millisecond))
	if c.Twice > 0 {
		text += fmt.Sprintf(", %d sent twice", c.Twice)
	}
	if c.Err != nil {
		text += ": " + c.Err.Error()
	}
	return text
}

// Bad tells whether anything was lost.
func (c Count) Bad() bool { return c.Lost > 0 || c.Err != nil || c.Sent == 0 }

// Load is lines that run.
type Load struct {
	ctx  context.Context //nolint:containedctx // ends the lines
	stop context.CancelFunc

	mu    sync.Mutex
	lines []line
}

// line is traffic of one kind.
type line interface {
	end() Count // returns when it has ended and all answers are in
}

// New makes a load without lines.
func New() *Load {
	ctx, stop := context.WithCancel(context.Background())
	return &Load{ctx: ctx, stop: stop}
}

func (l *Load) add(one line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, one)
}

// Stop ends all lines and tells what became of them, in the order in which they began.
func (l *Load) Stop() []Count {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := make([]Count, len(l.lines))
	var all sync.WaitGroup
	for i, one := range l.lines {
		all.Go(func() { counts[i] = one.end() })
	}
	all.Wait()
	l.lines = nil
	return counts
}

// Verdict is the error of counts of which some lost something, or had arrive what should not.
func Verdict(counts []Count) error {
	var bad []string
	for _, c := range counts {
		if c.Bad() {
			bad = append(bad, c.String())
		}
	}
	if len(bad) > 0 {
		return errors.New("traffic did not go as it should:\n  " + strings.Join(bad, "\n  "))
	}
	return nil
}

// medium carries numbers there and back.
type medium interface {
	send(n uint64) error
	receive() (n uint64, err error) // an error that is not of this message ends the line
	close()
}

// repeater is a medium that repeats what is lost.
type repeater interface{ repeated() (int, error) }

// numbered is a line of numbered messages.
type numbered struct {
	name    string
	m       medium
	sent    atomic.Uint64
	quit    chan struct{} // closes when nothing more is sent
	arrived chan struct{} // has one element when something has come

	mu      sync.Mutex
	err     error
	got     []uint64 // bits
	count   int
	last    time.Time
	longest time.Duration
}

func (l *Load) run(name string, m medium, every time.Duration) {
	n := &numbered{name: name, m: m, quit: make(chan struct{}), arrived: make(chan struct{}, 1), last: time.Now()}
	go n.sendAll(l.ctx, every)
	go n.receiveAll()
	l.add(n)
}

// sendAll sends at a rate. What the scheduler kept back is sent at once when it comes round.
func (n *numbered) sendAll(ctx context.Context, every time.Duration) {
	defer close(n.quit)
	tick := time.NewTicker(every)
	defer tick.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := uint64(time.Since(began) / every); n.sent.Load() < due; {
			if err := n.m.send(n.sent.Load()); err != nil {
				n.fail(fmt.Errorf("send: %w", err))
				return
			}
			n.sent.Add(1)
		}
	}
}

func (n *numbered) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.err = err
	}
}

func (n *numbered) receiveAll() {
	for {
		number, err := n.m.receive()
		if err != nil {
			n.fail(fmt.Errorf("receive: %w", err))
			return
		}
		n.mu.Lock()
		now := time.Now()
		n.longest, n.last = max(n.longest, now.Sub(n.last)), now
		for int(number/64) >= len(n.got) {
			n.got = append(n.got, 0)
		}
		if bit := uint64(1) << (number % 64); n.got[number/64]&bit == 0 {
			n.got[number/64] |= bit
			n.count++
		}
		n.mu.Unlock()
		select {
		case n.arrived <- struct{}{}:
		default:
		}
	}
}

func (n *numbered) end() Count {
	<-n.quit
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for waiting := true; waiting; {
		n.mu.Lock()
		all := n.count >= int(n.sent.Load()) || n.err != nil
		n.mu.Unlock()
		if all {
			break
		}
		select {
		case <-n.arrived:
			silence.Reset(patience)
		case <-silence.C:
			waiting = false
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := Count{Name: n.name, Sent: int(n.sent.Load()), Longest: n.longest, Err: n.err}
	if r, ok := n.m.(repeater); ok {
		var err error
		c.Twice, err = r.repeated()
		c.Err = errors.Join(c.Err, err)
	}
	c.Lost = c.Sent - n.count
	n.m.close()
	return c
}

// calls is a line of calls that each begin anew.
type calls struct {
	Count
	over chan struct{}
}

// Call makes a call again and again, the next one every so often after the one before has ended. An error is a loss.
func (l *Load) Call(name string, every time.Duration, call func(ctx context.Context) error) {
	c := &calls{Count: Count{Name: name}, over: make(chan struct{})}
	go func() {
		defer close(c.over)
		l.steadily(every, func() { c.one(call) })
	}()
	l.add(c)
}

// steadily does something every so often, at most, until the load ends.
func (l *Load) steadily(every time.Duration, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		do()
	}
}

func (c *calls) one(call func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	c.Sent++
	c.Longest = max(c.Longest, time.Since(began))
	if err != nil {
		if c.Lost++; c.Err == nil {
			c.Err = fmt.Errorf("call %d, at %s: %w", c.Sent, began.Format("15:04:05.000"), err)
		}
	}
}

func (c *calls) end() Count {
	<-c.over
	return c.Count
}
