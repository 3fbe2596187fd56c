package observe

import (
	"sync"
	"time"
)

// clock turns the kernel's monotonic time into wall time. The two drift apart when the clock is set, so the difference is
// taken anew every second.
type clock struct {
	offset time.Duration
	taken  time.Time
}

// wall is the wall's time of a moment of the kernel's clock, which read gives. now gives the wall's, and was at the last call at.
func (c *clock) wall(mono int64, at time.Time, now func() time.Time, read func() int64) time.Time {
	if age := at.Sub(c.taken); age > time.Second || age < 0 || c.taken.IsZero() {
		c.offset, c.taken = difference(now, read), at
	}
	return time.Unix(0, mono+int64(c.offset))
}

// Two clocks are not read at once: what lies between is by how much their difference may be wrong, and all flows of a second with it, so
// that they go before or behind those of the second before. A process that had to wait in between tries again.
const (
	near  = 20 * time.Microsecond
	tries = 5
)

// difference is by how much the wall's clock is ahead.
func difference(now func() time.Time, read func() int64) (offset time.Duration) {
	best := time.Duration(-1)
	for range tries {
		before := read()
		wall := now().UnixNano()
		between := time.Duration(read() - before)
		if best < 0 || between < best {
			best, offset = between, time.Duration(wall-before)-between/2
		}
		if best <= near {
			break
		}
	}
	return offset
}

// rate counts flows in buckets of a second over the last minute.
type rate struct {
	mu      sync.Mutex
	buckets [60]uint64
	second  int64 // of the newest bucket
}

func (r *rate) advance(now time.Time) {
	for second := now.Unix(); r.second < second; {
		r.second = max(r.second+1, second-int64(len(r.buckets))+1)
		r.buckets[r.second%int64(len(r.buckets))] = 0
	}
}

func (r *rate) add(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	r.buckets[r.second%int64(len(r.buckets))]++
}

// perSecond is the mean over the last minute, or over uptime if that is shorter.
func (r *rate) perSecond(now time.Time, uptime time.Duration) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	var sum uint64
	for _, n := range r.buckets {
		sum += n
	}
	return float64(sum) / min(max(uptime.Seconds(), 1), float64(len(r.buckets)))
}
