// Package journal keeps the last items of something that goes on: flows, events of the agent.
//
// A journal is a ring. It is the queue of each reader as well: a reader has only a place in it, so a slow one holds up no other,
// and costs nothing. Readers take no lock: each element is one pointer, and the number inside an item tells whether it is the one
// that they came for, or one that has overwritten it.
//
// Invariants: an item is never changed once it is put; numbers count from 0 and are never used twice; a reader that is too slow is
// told how many items it missed.
//
//	j := journal.New[Flow](4095)
//	j.Put(&Flow{…}); j.Wake()                   // one writer at a time
//	place := j.Cursor(4095)                     // reads what comes
//	err := j.Answer(ctx, journal.Range{Number: 20}, journal.Reader[Flow]{Send: …})   // reads what is there, too
package journal

import (
	"sync"
	"sync/atomic"
	"time"
)

// Queue is how far a reader may fall behind before it misses items; more if more are kept.
const Queue = 8192

// Entry is the place of an item; items embed it.
type Entry struct {
	number uint64
	At     time.Time // when it happened
}

func (e *Entry) entry() *Entry { return e }

// Item is a struct that embeds Entry.
type Item[T any] interface {
	*T
	entry() *Entry
}

// Journal keeps items.
type Journal[T any, P Item[T]] struct {
	kept int // items that requests for what is there may see
	ring []atomic.Pointer[T]
	next atomic.Uint64 // number of the item to come

	began atomic.Int64 // when the first item happened, ns since 1970

	mu   sync.Mutex
	more chan struct{} // closed by the next Wake; nil while no reader waits
}

// New makes a journal that shows as many items as are said, and keeps Queue at least.
func New[T any, P Item[T]](kept int) *Journal[T, P] {
	return &Journal[T, P]{kept: kept, ring: make([]atomic.Pointer[T], max(kept, Queue))}
}

// Put adds an item and numbers it; one at a time. Readers that wait hear of it with the next Wake.
func (j *Journal[T, P]) Put(item P) {
	e := item.entry()
	if e.number = j.next.Load(); e.number == 0 {
		j.began.Store(e.At.UnixNano())
	}
	j.ring[e.number%uint64(len(j.ring))].Store((*T)(item))
	j.next.Store(e.number + 1)
}

// Wake tells those that wait.
func (j *Journal[T, P]) Wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.more != nil {
		close(j.more)
		j.more = nil
	}
}

// Find gives an item by number; nil if it is gone, or not there yet.
func (j *Journal[T, P]) Find(number uint64) *T {
	item := j.ring[number%uint64(len(j.ring))].Load()
	if item == nil || P(item).entry().number != number {
		return nil
	}
	return item
}

// Kept gives the numbers of the items that requests may see: from the oldest to the one to come.
func (j *Journal[T, P]) Kept() (oldest, next uint64) { return j.last(j.kept) }

// last gives the numbers of the last items, at most n: from the oldest to the one to come.
func (j *Journal[T, P]) last(n int) (oldest, next uint64) {
	next = j.next.Load()
	if next > uint64(n) {
		oldest = next - uint64(n)
	}
	return oldest, next
}

// wait gives a channel that closes when item number is there; closed already if it is.
func (j *Journal[T, P]) wait(number uint64) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.next.Load() > number {
		done := make(chan struct{})
		close(done)
		return done
	}
	if j.more == nil {
		j.more = make(chan struct{})
	}
	return j.more
}

// Cursor is the place of one reader: its queue is what lies between it and the newest item.
type Cursor[T any, P Item[T]] struct {
	journal *Journal[T, P]
	depth   int    // of the queue
	next    uint64 // number of the item that it reads next
}

// Cursor makes one that reads what comes from now on, and may fall behind as far as the journal keeps.
func (j *Journal[T, P]) Cursor() *Cursor[T, P] { return &Cursor[T, P]{j, len(j.ring), j.next.Load()} }

// Wait gives a channel that closes when there is something to read.
func (c *Cursor[T, P]) Wait() <-chan struct{} { return c.journal.wait(c.next) }

// Read gives what has come, in order, and first how many items were overwritten before they were read, if any were.
func (c *Cursor[T, P]) Read(take func(*T) error, missed func(n uint64) error) error {
	oldest, next := c.journal.last(c.depth)
	if oldest > c.next {
		n := oldest - c.next
		c.next = oldest
		if err := missed(n); err != nil {
			return err
		}
	}
	for ; c.next < next; c.next++ {
		item := c.journal.Find(c.next)
		if item == nil {
			return nil // overwritten just now: the next read counts it
		}
		if err := take(item); err != nil {
			return err
		}
	}
	return nil
}
