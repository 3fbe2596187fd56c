package observe

import (
	"sync"
	"sync/atomic"
)

// queue is how far a follower may fall behind before it loses flows; more if more are kept.
const queue = 8192

// journal keeps the last flows in a ring. It is the queue of each follower as well: a follower has only a place in it, so
// a slow one holds up no other, and costs nothing. Readers take no lock: each element is one pointer, and the number inside
// a flow tells whether it is the one they came for or one that has overwritten it.
type journal struct {
	ring []atomic.Pointer[Flow]
	next atomic.Uint64 // number of the flow to come

	mu   sync.Mutex
	more chan struct{} // closed by the next wake; nil while no reader waits
}

func newJournal(kept int) *journal {
	return &journal{ring: make([]atomic.Pointer[Flow], max(kept, queue))}
}

// put adds a flow and numbers it; one at a time. Readers that wait hear of it with the next wake.
func (j *journal) put(f *Flow) {
	f.number = j.next.Load()
	j.ring[f.number%uint64(len(j.ring))].Store(f)
	j.next.Store(f.number + 1)
}

// wake tells those that wait.
func (j *journal) wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.more != nil {
		close(j.more)
		j.more = nil
	}
}

// at finds a flow by number; nil if it is gone, or not there yet.
func (j *journal) at(number uint64) *Flow {
	f := j.ring[number%uint64(len(j.ring))].Load()
	if f == nil || f.number != number {
		return nil
	}
	return f
}

// last gives the numbers of the last flows, at most n: from the oldest to the one to come.
func (j *journal) last(n int) (oldest, next uint64) {
	next = j.next.Load()
	if next > uint64(n) {
		oldest = next - uint64(n)
	}
	return oldest, next
}

// wait gives a channel that closes when flow number is there; closed already if it is.
func (j *journal) wait(number uint64) <-chan struct{} {
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

// cursor is the place of one reader: its queue is what lies between it and the newest flow.
type cursor struct {
	journal *journal
	depth   int    // of the queue
	next    uint64 // number of the flow that it reads next
}

func (j *journal) cursor(depth int) *cursor { return &cursor{j, depth, j.next.Load()} }

// wait gives a channel that closes when there is something to read.
func (c *cursor) wait() <-chan struct{} { return c.journal.wait(c.next) }

// read gives what has come, in order, and first how many flows were overwritten before they were read, if any were.
func (c *cursor) read(take func(*Flow) error, missed func(n uint64) error) error {
	oldest, next := c.journal.last(c.depth)
	if oldest > c.next {
		n := oldest - c.next
		c.next = oldest
		if err := missed(n); err != nil {
			return err
		}
	}
	for ; c.next < next; c.next++ {
		f := c.journal.at(c.next)
		if f == nil {
			return nil // overwritten just now: the next read counts it
		}
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}
