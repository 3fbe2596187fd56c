package observe

import (
	"context"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Each gives what comes from now on to take, in order, until ctx ends: a flow, or else the news that some are missing, by the kernel or since
// take was too slow. Nothing waits for take.
func (o *Observer) Each(ctx context.Context, take func(*Flow, *flowpb.LostEvent)) {
	place := o.journal.Cursor()
	for {
		select {
		case <-ctx.Done():
			return
		case <-place.Wait():
		}
		_ = place.Read(func(f *Flow) error {
			if f.lost != nil {
				take(nil, f.lost)
			} else {
				take(f, nil)
			}
			return nil
		}, func(n uint64) error {
			take(nil, &flowpb.LostEvent{Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n})
			return nil
		})
	}
}

// NodeName is this node as flows have it: cluster/node.
func (o *Observer) NodeName() string { return o.nodeName(o.db.Snapshot()) }
