package scrape

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/measure"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// maxCarried is how many series of throughput there are at most, of each kind.
const maxCarried = 10_000

// Throughput is what the node's pods have sent and received, as their connections tell while they go on and when they end.
type Throughput struct {
	pods    pods
	carried *measure.Carried
}

// NewThroughput makes that of a node.
func NewThroughput(t *table.Tables, db *state.DB) *Throughput {
	return &Throughput{pods: pods{t, db}, carried: measure.NewCarried(maxCarried)}
}

// Collector shows it.
func (t *Throughput) Collector() prometheus.Collector { return t.carried }

// Take counts what a flow tells of: a follower of an observer.
func (t *Throughput) Take(f *observe.Flow) {
	if sent, received, ok := f.Carried(); ok {
		source, destination := f.Ends()
		t.carried.Take(source, destination, sent, received)
	}
}

// Run counts as a configuration says, until ctx ends.
func (t *Throughput) Run(ctx context.Context, c settings.Throughput) error {
	t.carried.By(c.Pods, c.Machines)
	t.pods.forget(ctx, t.carried)
	return nil
}

// pods knows which ones there are.
type pods struct {
	tables *table.Tables
	db     *state.DB
}

// forget takes out series of pods that are gone, until ctx ends.
func (p pods) forget(ctx context.Context, of interface {
	Forget(now time.Time, lives func(measure.Pod) bool)
},
) {
	tick := time.NewTicker(lookAtPods)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			if s := p.db.Snapshot(); p.tables.Endpoints.IsSynced(s) {
				of.Forget(now, func(one measure.Pod) bool { return p.live(s, one) })
			}
		case <-ctx.Done():
			return
		}
	}
}

// live tells whether there is a pod, on any node.
func (p pods) live(s *state.Snapshot, one measure.Pod) bool {
	key := table.ObjectKey(one.Namespace, one.Name)
	if _, ok := p.tables.Endpoints.One(s, key); ok {
		return true
	}
	for range p.tables.Attachments.By(s, table.ByPod, key) {
		return true
	}
	return false
}
