package observe

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/observe/journal"
)

// follower gets each flow, in order, beside the clients that ask for some. It runs on its own and at its own pace: what it is
// too slow for it loses, and no other does.
type follower struct {
	name      string
	take      func(*Flow)          // never called twice at a time
	collector prometheus.Collector // what it shows to Prometheus
}

// followers are those that each observer has.
var followers = []func() follower{newConnections}

// following is a follower at work.
type following struct {
	follower
	lost atomic.Uint64 // flows that it was too slow for
}

// run gives it what comes from now on.
func (f *following) run(ctx context.Context, c *journal.Cursor[Flow, *Flow]) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.Wait():
		}
		_ = c.Read(func(flow *Flow) error {
			if flow.lost == nil {
				f.take(flow)
			}
			return nil
		}, func(n uint64) error { f.lost.Add(n); return nil })
	}
}
