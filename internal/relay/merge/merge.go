// Package merge puts what several sources give into one order, that of time.
//
// # The world it models
//
// Each source gives items whose times rise, some at its own pace, some all at once, until it ends, if it ever does. The next item is the
// oldest of those that the sources have given and that were not taken yet: the oldest head. It is certain once every open source has a
// head. A source that gives nothing for a long time must not hold up the others, so
//
//   - while the past is read (Past), an open source without a head is waited for until it was silent for Patience: what is stored
//     comes without a pause;
//   - in the present, an item goes when it has been here for Window, or when Most items are here and a source would have to wait. So that it
//     can, those that are older go before it, if they are of before Window: whatever else is as old ought to be here.
//
// So the order is exact for the past, and for the present as far as items are not later than Window, which is shorter while more than Most
// items come in it. An item is late by its way, by its source's clock, or because it was held up. What is too late goes on all the same, out
// of order, and holds up no other. What is of later than in a Window, since its source's clock is early, is put in order as if it were of
// then. Items of one source stay in its order, even where their times fall.
//
// # Invariants
//
//   - No item is lost, and none is made.
//   - An item goes before an older one only if that is not here yet, and then after Window, counted from when it came or from its own time,
//     or while Most items are here; or if it is of more than Window later than when it came.
//   - An item is here for Window at most; one that is of later than when it came, for two.
//   - At most Most items are here, and of each source that has few of them some more: a source must wait while Room says no.
//   - It reads no clock, and starts nothing: the caller says what time it is.
//
// # Example
//
//	m := merge.New[string](merge.Limits{Window: time.Second, Most: 1000})
//	m.Open("n1", now)
//	m.Put("n1", at, "a", now)
//	item, ok, wait := m.Next(now)
package merge

import (
	"container/heap"
	"time"
)

// Limits are how long and for how much sources are waited for.
type Limits struct {
	Window   time.Duration // in the present
	Patience time.Duration // in the past
	Most     int           // items that are here at once, about
}

// Merge is an order under way.
type Merge[T any] struct {
	limits  Limits
	past    bool
	sources map[string]*source[T]
	heads   heads[T] // sources that have an item
	open    int      // sources that may give more
	empty   int      // of these, those without an item
	items   int      // that are here
	large   int      // sources that have as much as each may
}

// Item is one that was taken.
type Item[T any] struct {
	Source string
	Time   time.Time
	Value  T
}

type entry[T any] struct {
	at, came time.Time
	place    time.Time // in the order: at, or the end of a Window if that is earlier
	value    T
}

type source[T any] struct {
	name   string
	open   bool
	items  []entry[T]
	silent time.Time // since when it has given nothing
	given  int       // since it was opened
	large  bool
	read   bool // its past
}

// New makes an order. It reads the past until Present is called.
func New[T any](l Limits) *Merge[T] {
	return &Merge[T]{limits: l, past: true, sources: map[string]*source[T]{}}
}

// Open adds a source, or lets one give more that was closed.
func (m *Merge[T]) Open(name string, now time.Time) {
	s := m.sources[name]
	if s == nil {
		s = &source[T]{name: name}
		m.sources[name] = s
	}
	if s.open {
		return
	}
	s.open, s.silent, s.given, s.read = true, now, 0, false
	m.open++
	if len(s.items) == 0 {
		m.empty++
	}
}

// Close says that a source gives no more. What it gave stays.
func (m *Merge[T]) Close(name string) {
	s := m.sources[name]
	if s == nil || !s.open {
		return
	}
	s.open = false
	m.open--
	if len(s.items) == 0 {
		m.empty--
		delete(m.sources, name)
	}
}

// Put takes an item of an open source.
func (m *Merge[T]) Put(name string, at time.Time, value T, now time.Time) {
	s := m.sources[name]
	if s == nil || !s.open {
		panic("merge: source " + name + " gives something, and is not open")
	}
	place := at
	if latest := now.Add(m.limits.Window); !m.past && at.After(latest) {
		place = latest
	}
	s.items = append(s.items, entry[T]{at, now, place, value})
	m.items++
	s.silent = now
	s.given++
	if len(s.items) == 1 {
		m.empty--
		heap.Push(&m.heads, s)
	}
	m.measure(s)
}

// Skip says that an open source gave something that does not matter here: it is not silent. read: all that comes after it is of the present.
func (m *Merge[T]) Skip(name string, read bool, now time.Time) {
	if s := m.sources[name]; s != nil {
		s.silent, s.read = now, s.read || read
	}
}

// least is what each source may have here however many there are.
const least = 16

// share is what each source may have here though others have all that may be here: enough for it to go on. Sources are unlike, so one that
// gives much may have more while there is room.
func (m *Merge[T]) share() int { return max(least, m.limits.Most/(4*max(1, len(m.sources)))) }

func (m *Merge[T]) measure(s *source[T]) {
	if large := len(s.items) >= m.share(); large != s.large {
		if s.large = large; large {
			m.large++
		} else {
			m.large--
		}
	}
}

// Room tells whether a source may give another item now.
func (m *Merge[T]) Room(name string) bool {
	s := m.sources[name]
	return s == nil || m.room(s)
}

func (m *Merge[T]) room(s *source[T]) bool {
	return m.items < m.limits.Most || len(s.items) < m.share()
}

// Present ends the past.
func (m *Merge[T]) Present() { m.past = false }

// Sources counts those that may give more.
func (m *Merge[T]) Sources() int { return m.open }

// Len counts the items that are here.
func (m *Merge[T]) Len() int { return m.items }

// Next takes the next item, if it may go. Else wait tells how long until one may, if nothing comes before; 0: nothing will.
func (m *Merge[T]) Next(now time.Time) (item Item[T], ok bool, wait time.Duration) {
	if len(m.heads) == 0 {
		return item, false, 0
	}
	if m.empty > 0 {
		if wait = m.due(now).Sub(now); wait > 0 {
			return item, false, wait
		}
	}
	return m.Take(now), true, 0
}

// due is when the oldest item goes though open sources have none.
func (m *Merge[T]) due(now time.Time) time.Time {
	if !m.past {
		return m.presently(now)
	}
	until := now
	for _, s := range m.sources {
		if s.open && len(s.items) == 0 {
			if at := s.silent.Add(m.limits.Patience); at.After(until) {
				until = at
			}
		}
	}
	return until
}

// presently is when the oldest item goes in the present.
func (m *Merge[T]) presently(now time.Time) time.Time {
	if m.large > 0 && m.items >= m.limits.Most {
		return now
	}
	oldest := m.heads[0].items[0]
	until := oldest.came.Add(m.limits.Window)
	if !until.After(now) {
		return until
	}
	first := oldest.came // of those that are here
	for _, s := range m.heads {
		if came := s.items[0].came; came.Before(first) {
			first = came
		}
	}
	if oldest.place.After(first) {
		first = oldest.place
	}
	if soon := first.Add(m.limits.Window); soon.Before(until) {
		return soon
	}
	return until
}

// Take takes the oldest item that is here, of which there must be one.
func (m *Merge[T]) Take(now time.Time) Item[T] {
	s := m.heads[0]
	e := s.items[0]
	if !m.room(s) {
		s.silent = now // it could not give any more until now
	}
	s.items[0] = entry[T]{} // free what it holds
	s.items = s.items[1:]
	m.items--
	m.measure(s)
	switch {
	case len(s.items) > 0:
		heap.Fix(&m.heads, 0)
	case s.open:
		heap.Pop(&m.heads)
		s.items = nil
		m.empty++
	default:
		heap.Pop(&m.heads)
		delete(m.sources, s.name)
	}
	return Item[T]{s.name, e.at, e.value}
}

// Settled tells whether the past has been read: each open source has given n items, or all of its past, or nothing for Patience. Else wait tells when to ask
// again if nothing comes before.
func (m *Merge[T]) Settled(n uint64, now time.Time) (settled bool, wait time.Duration) {
	for _, s := range m.sources {
		if !s.open || s.read || n > 0 && uint64(s.given) >= n {
			continue
		}
		if !m.room(s) {
			return false, m.limits.Patience
		}
		wait = max(wait, s.silent.Add(m.limits.Patience).Sub(now))
	}
	return wait <= 0, max(wait, 0)
}

// heads are sources by their oldest item, and then by name.
type heads[T any] []*source[T]

func (h heads[T]) Len() int { return len(h) }

func (h heads[T]) Less(i, j int) bool {
	a, b := h[i].items[0].place, h[j].items[0].place
	return a.Before(b) || a.Equal(b) && h[i].name < h[j].name
}

func (h heads[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
}

// Push implements heap.Interface.
func (h *heads[T]) Push(s any) {
	*h = append(*h, s.(*source[T]))
}

// Pop implements heap.Interface.
func (h *heads[T]) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
