package scrape

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Delays measure how long a change of policies takes until all that follows from it is in the kernel.
type Delays struct {
	tables  *table.Tables
	db      *state.DB
	behind  func(*state.Snapshot) string // what has not caught up with a snapshot; empty: nothing
	changes *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// NewDelays makes them; behind tells what has not caught up with a snapshot, empty: all has.
func NewDelays(t *table.Tables, db *state.DB, behind func(*state.Snapshot) string) *Delays {
	return &Delays{
		tables: t, db: db, behind: behind,
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cilium_policy_change_total", Help: "Changes of policy objects; fail: of one that is not valid.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cilium_policy_implementation_delay", Help: "Seconds from when a change of policy objects was seen until all that follows from it is in the kernel.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"source"}),
	}
}

// Collectors are what they show.
func (d *Delays) Collectors() []prometheus.Collector {
	return []prometheus.Collector{d.changes, d.seconds}
}

// lookAgain is how soon it is looked whether a change is in the kernel; then later and later, by a tenth of the time that has gone by, so
// that a change that never gets there costs nothing.
const lookAgain = 5 * time.Millisecond

// Run measures until ctx ends. Changes that come while others are on their way are measured with the next ones.
func (d *Delays) Run(ctx context.Context) error {
	policies := d.tables.Policies
	for _, outcome := range []string{"success", "fail"} {
		d.changes.WithLabelValues(outcome)
	}
	delay := d.seconds.WithLabelValues("kubernetes")
	for last := uint64(0); ; {
		s := d.db.Snapshot()
		if revision := policies.LastRevision(s); revision != last {
			began := time.Now()
			d.count(s, last)
			last = revision
			if !d.settle(ctx, s) {
				return nil
			}
			delay.Observe(time.Since(began).Seconds())
			continue
		}
		select {
		case <-policies.WatchAll(s):
		case <-ctx.Done():
			return nil
		}
	}
}

// count counts the objects that are newer than a revision; one that was deleted counts once with others of its time.
func (d *Delays) count(s *state.Snapshot, since uint64) {
	valid, other := 0, 0
	for p := range d.tables.Policies.All(s) {
		switch {
		case d.tables.Policies.Revision(s, d.tables.Policies.Key(p)) <= since:
		case p.Valid:
			valid++
		default:
			other++
		}
	}
	if valid+other == 0 {
		valid = 1 // something was deleted
	}
	d.changes.WithLabelValues("success").Add(float64(valid))
	d.changes.WithLabelValues("fail").Add(float64(other))
}

// settle waits until all has caught up with a snapshot; false: ctx has ended.
func (d *Delays) settle(ctx context.Context, s *state.Snapshot) bool {
	for began := time.Now(); d.behind(s) != ""; {
		select {
		case <-time.After(max(lookAgain, time.Since(began)/10)):
		case <-ctx.Done():
			return false
		}
	}
	return true
}
