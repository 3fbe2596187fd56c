package observe

import (
	"sync"
	"sync/atomic"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// entry is one thing in the store: a flow, or the news that some were lost. It is never changed.
type entry struct {
	number uint64 // counts from 0, never used twice
	time   time.Time
	seen   *sight // nil: it is the news
	lost   *flowpb.LostEvent
}

// store keeps the last entries in a ring. Readers take no lock: each slot is one pointer, and the number inside an
// entry tells whether it is the one they came for or one that has overwritten it.
type store struct {
	slots []atomic.Pointer[entry]
	next  atomic.Uint64 // number of the entry to come

	mu   sync.Mutex    // guards writing
	more chan struct{} // closed by the next put; nil while nobody waits
}

func newStore(capacity int) *store { return &store{slots: make([]atomic.Pointer[entry], capacity)} }

// put stores an entry and numbers it.
func (s *store) put(e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.number = s.next.Load()
	s.slots[e.number%uint64(len(s.slots))].Store(&e)
	s.next.Store(e.number + 1)
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
}

// at finds an entry by number; nil if it is gone, or not there yet.
func (s *store) at(number uint64) *entry {
	e := s.slots[number%uint64(len(s.slots))].Load()
	if e == nil || e.number != number {
		return nil
	}
	return e
}

// bounds gives the numbers from the oldest entry to the one to come.
func (s *store) bounds() (oldest, next uint64) {
	next = s.next.Load()
	if size := uint64(len(s.slots)); next > size {
		oldest = next - size
	}
	return oldest, next
}

// wait gives a channel that closes when entry number is there; closed already if it is.
func (s *store) wait(number uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.Load() > number {
		done := make(chan struct{})
		close(done)
		return done
	}
	if s.more == nil {
		s.more = make(chan struct{})
	}
	return s.more
}

// size is how many entries there are.
func (s *store) size() uint64 {
	oldest, next := s.bounds()
	return next - oldest
}
