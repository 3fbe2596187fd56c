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
func (b *Book) Held(ctx context.Context) (out []cluster.Holder, err error) {
	b.work.Lock()
	defer b.work.Unlock()
	if err := b.readAll(ctx, true); err != nil {
		return nil, err
	}
	for n, keys := range b.known.holders {
		for k := range keys {
			for _, u := range b.known.blocks[k].block.Used {
				at := slices.IndexFunc(u.Holders, func(h cluster.Holder) bool {
					return h.Node == b.node && h.Container == n.container && h.Interface == n.device
				})
				if at >= 0 && !slices.ContainsFunc(out, u.Holders[at].Is) {
					out = append(out, u.Holders[at])
				}
			}
		}
	}
	return out, nil
}
