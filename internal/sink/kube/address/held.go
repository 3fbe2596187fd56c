package address

import (
	"context"
	"slices"

	"weftnet.io/weftnet/internal/ipam/cluster"
)

// holds tells whether a NIC has an address, or may have one.
func (b *Book) holds(ctx context.Context, h cluster.Holder) bool {
	b.work.Lock()
	defer b.work.Unlock()
	return b.readAll(ctx, false) != nil || len(b.known.holders[nic{h.Container, h.Interface}]) > 0
}

// Held lists the NICs of this node that have addresses, each once, as the API server has it.
func (b *Book) Held(ctx context.Context) ([]cluster.Holder, error) {
	return b.holders(ctx, func(_ cluster.Use, h cluster.Holder) bool { return h.Node == b.node })
}

// holders are the NICs that hold an address and count, each once.
func (b *Book) holders(ctx context.Context, count func(cluster.Use, cluster.Holder) bool) (out []cluster.Holder, err error) {
	b.work.Lock()
	defer b.work.Unlock()
	if err := b.readAll(ctx, true); err != nil {
		return nil, err
	}
	for _, one := range b.known.blocks {
		for _, u := range one.block.Used {
			for _, h := range u.Holders {
				if count(u, h) && !slices.ContainsFunc(out, h.Is) {
					out = append(out, h)
				}
			}
		}
	}
	return out, nil
}
