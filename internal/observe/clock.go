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

func (c *clock) wall(mono int64, now time.Time, read func() int64) time.Time {
	if age := now.Sub(c.taken); age > time.Second || age < 0 || c.taken.IsZero() {
		c.offset, c.taken = time.Duration(now.UnixNano()-read()), now
	}
	return time.Unix(0, mono+int64(c.offset))
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
