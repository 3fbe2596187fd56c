package address

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/ipam/cluster"
)

// Sweep gives back what this node has no use for: addresses of NICs that do not live, and blocks that are free altogether. What another agent
// changes meanwhile is left to the next one.
func (b *Book) Sweep(ctx context.Context) error {
	b.work.Lock()
	defer b.work.Unlock()
	if err := b.readAll(ctx, true); err != nil {
		return err
	}
	p := newPlan(b)
	here := func(string) bool { return true }
	kept := func(string, string, netip.Addr) bool { return true }
	for k, h := range b.known.blocks {
		block := h.block.Clone()
		changed := block.Release(b.dead, p.now)
		if block.Node == b.node {
			changed = block.Sweep(cluster.World{Now: p.now, Rest: b.rest, Node: here, Keeps: kept}) || changed
		}
		if changed || block.Node == b.node && block.Empty() {
			*p.change(k, nil) = block
		}
	}
	var failed []error
	for _, c := range p.changes {
		_, err := b.write(ctx, c)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// dead tells whether a holder is a NIC of this node that does not live.
func (b *Book) dead(h cluster.Holder) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return h.Node == b.node && !b.mine[nic{h.Container, h.Interface}]
}

// Run sweeps every so often, until ctx ends.
func (b *Book) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := b.Sweep(ctx); err != nil && ctx.Err() == nil {
			b.log.Warn("unused addresses of further networks are given back later", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
