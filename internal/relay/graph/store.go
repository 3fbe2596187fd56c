package graph

import (
	"cmp"
	"slices"
	"sync"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/flow"
)

// Step is how exact windows are.
const Step = 15 * time.Second

// Limits are what a store keeps; those that are 0 have their defaults.
type Limits struct {
	Span    time.Duration // of flows' times: 1 hour
	Classes int           // 50,000, of which one takes some 1.5 kB
	Cells   int           // counts of a class in a step: 1,000,000 of 64 bytes
}

// Store keeps what graphs are made of. Its methods may be called from any goroutine.
type Store struct {
	limits Limits

	mu      sync.Mutex
	classes map[key]*class
	parts   map[string]*shared // ends, and nodes that saw
	cells   int
	floor   int64            // the oldest step that is kept
	newest  int64            // the newest there is
	left    map[int64]uint64 // flows left out, by step
	text    []byte           // used again
}

// class is flows that differ in nothing but what single connections are.
type class struct {
	key   key
	flow  *flowpb.Flow
	extra extra
	cells []cell // in the order of steps
}

// cell is what there was of a class in a step.
type cell struct {
	step int64
	counts
}

// counts are those of some flows.
type counts struct {
	flows, connections uint64
	sent, received     flow.Carried
	last               int64 // when, in ns since 1970
}

func (c *counts) add(o counts) {
	c.flows += o.flows
	c.connections += o.connections
	plus(&c.sent, o.sent)
	plus(&c.received, o.received)
	c.last = max(c.last, o.last)
}

func plus(to *flow.Carried, more flow.Carried) {
	to.Packets += more.Packets
	to.Bytes += more.Bytes
}

// New makes a store that has seen nothing.
func New(l Limits) *Store {
	l.Span, l.Classes, l.Cells = cmp.Or(l.Span, time.Hour), cmp.Or(l.Classes, 50_000), cmp.Or(l.Cells, 1_000_000)
	return &Store{limits: l, classes: map[key]*class{}, parts: map[string]*shared{}, left: map[int64]uint64{}}
}

// Span is the longest window that a store may answer.
func (s *Store) Span() time.Duration { return s.limits.Span }

func stepOf(t time.Time) int64 { return t.UnixNano() / int64(Step) }

func timeOf(step int64) time.Time { return time.Unix(0, step*int64(Step)).UTC() }

// Since is from when on a window may be answered of the store.
func (s *Store) Since(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	return timeOf(s.floor)
}

// Add counts a flow, which must not change any more. One that is older than all that is kept is left out; one of the future is of now.
func (s *Store) Add(f *flowpb.Flow, now time.Time) {
	x := extraOf(f)
	k := keyOf(f, x)
	n := countsOf(f, x)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	step := min(n.last/int64(Step), s.newest)
	if step < s.floor {
		return
	}
	c := s.class(f, k, x)
	if c == nil {
		s.left[step]++
		return
	}
	s.cells += c.add(step, n)
	if s.cells > s.limits.Cells {
		s.shrink()
	}
}

func countsOf(f *flowpb.Flow, x extra) counts {
	n := x.ended
	n.flows, n.last = 1, f.GetTime().AsTime().UnixNano()
	return n
}

// add counts something in a step, and tells how many cells that has made.
func (c *class) add(step int64, n counts) (made int) {
	at := len(c.cells)
	for at > 0 && c.cells[at-1].step > step {
		at-- // it is late; few are
	}
	if at > 0 && c.cells[at-1].step == step {
		c.cells[at-1].counts.add(n)
		return 0
	}
	c.cells = slices.Insert(c.cells, at, cell{step, n})
	return 1
}

// class finds or makes that of a flow; nil: there are too many. mu is held.
func (s *Store) class(f *flowpb.Flow, k key, x extra) *class {
	var parts [3]*shared
	var fresh [3]bool
	for i := range parts {
		s.text = append(s.text[:0], byte(i/2)) // of what kind the part is
		switch i {
		case 0:
			s.text = appendEnd(s.text, f.GetSource())
		case 1:
			s.text = appendEnd(s.text, f.GetDestination())
		case 2:
			s.text = appendTexts(appendText(s.text, f.GetNodeName()), f.GetNodeLabels())
		}
		if parts[i] = s.parts[string(s.text)]; parts[i] != nil {
			continue
		}
		if i == 1 && fresh[0] && parts[0].text == string(s.text) {
			parts[1] = parts[0]
			continue
		}
		fresh[i], parts[i] = true, &shared{text: string(s.text)}
		switch i {
		case 0:
			parts[i].end = f.GetSource()
		case 1:
			parts[i].end = f.GetDestination()
		case 2:
			parts[i].node, parts[i].labels = f.GetNodeName(), f.GetNodeLabels()
		}
	}
	k.source, k.destination, k.where = parts[0], parts[1], parts[2]
	if c := s.classes[k]; c != nil {
		return c
	}
	if len(s.classes) >= s.limits.Classes && !s.makeRoom() {
		return nil
	}
	c := &class{key: k, flow: strip(f, x), extra: x}
	c.flow.Source, c.flow.Destination, c.flow.NodeName, c.flow.NodeLabels = parts[0].end, parts[1].end, parts[2].node, parts[2].labels
	for _, p := range parts {
		p.uses++
		s.parts[p.text] = p // room may have been made by forgetting it
	}
	s.classes[k] = c
	return c
}

// advance forgets what is older than the span; mu is held.
func (s *Store) advance(now time.Time) {
	step := stepOf(now)
	if step <= s.newest {
		return
	}
	s.newest = step
	if oldest := step - int64(s.limits.Span/Step); oldest > s.floor {
		s.floor = oldest
		s.sweep()
	}
}

// sweep takes out what is older than floor; mu is held.
func (s *Store) sweep() {
	for k, c := range s.classes {
		n := 0
		for n < len(c.cells) && c.cells[n].step < s.floor {
			n++
		}
		s.cells -= n
		if c.cells = slices.Delete(c.cells, 0, n); len(c.cells) > 0 {
			continue
		}
		delete(s.classes, k)
		for _, p := range []*shared{k.source, k.destination, k.where} {
			if p.uses--; p.uses == 0 {
				delete(s.parts, p.text)
			}
		}
	}
	for step := range s.left {
		if step < s.floor {
			delete(s.left, step)
		}
	}
}

// shrink forgets the oldest eighth of what is kept, a step at least, but for the newest; it tells whether there was one. mu is held.
func (s *Store) shrink() bool {
	oldest := s.newest
	for _, c := range s.classes {
		oldest = min(oldest, c.cells[0].step)
	}
	if oldest >= s.newest {
		return false
	}
	s.floor = max(s.floor, oldest+max(1, (s.newest-oldest)/8))
	s.sweep()
	return true
}

// makeRoom forgets old steps until there is room for another class; mu is held.
func (s *Store) makeRoom() bool {
	for len(s.classes) >= s.limits.Classes {
		if !s.shrink() {
			return false
		}
	}
	return true
}
