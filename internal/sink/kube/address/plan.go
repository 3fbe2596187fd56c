package address

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/ipam/cluster"
)

// plan is what one round of answers would change.
type plan struct {
	book    *Book
	now     time.Time
	changes []*change
	of      map[cluster.Key]*change
	read    bool // all blocks have been read anew in this round
}

// change is a block as it is to be.
type change struct {
	block  cluster.Block
	object *v1alpha1.AddressBlock // as it was read; nil: the block is new
	asks   []*ask                 // that wait for it
}

func newPlan(b *Book) *plan { return &plan{book: b, now: b.now(), of: map[cluster.Key]*change{}} }

// see is a block as the plan has it; nil: there is none.
func (p *plan) see(k cluster.Key) *cluster.Block {
	if c := p.of[k]; c != nil {
		return &c.block
	}
	if h, ok := p.book.known.blocks[k]; ok {
		return &h.block
	}
	return nil
}

// change makes a block one that the plan changes, for an ask. A block that is not there begins with this node.
func (p *plan) change(k cluster.Key, a *ask) *cluster.Block {
	c := p.of[k]
	if c == nil {
		c = &change{block: cluster.Block{Key: k, Node: p.book.node}}
		if h, ok := p.book.known.blocks[k]; ok {
			c.block, c.object = h.block.Clone(), h.object
		}
		p.of[k] = c
		p.changes = append(p.changes, c)
	}
	if a != nil {
		c.asks = append(c.asks, a)
	}
	return &c.block
}

// place puts the answer to an ask into the plan.
func (p *plan) place(ctx context.Context, a *ask) error {
	if a.want.Alone && a.disown == nil {
		if err := p.alone(ctx, a.want); err != nil {
			return err
		}
	}
	switch h := a.want.Holder; {
	case a.release:
		for _, k := range p.holding(nic{h.Container, h.Interface}) {
			p.change(k, a).Release(h.Is, p.now)
		}
		return nil
	case a.disown != nil:
		if b := p.see(a.disown.key); b != nil && b.Holds(h.Is) {
			b = p.change(a.disown.key, a)
			b.Let(a.disown.addr, h, p.now)
			b.Disown(a.disown.addr, a.disown.owner, a.disown.foreign)
		}
		return nil
	case a.exact.IsValid():
		k := cluster.KeyOf(a.want.Space, a.exact)
		if p.refuses(k, a) != nil && !p.read {
			if err := p.readAll(ctx); err != nil {
				return err
			}
		}
		if err := p.refuses(k, a); err != nil {
			return err
		}
		a.got = a.exact
		return p.change(k, a).Claim(a.exact, a.want, p.now, p.book.rest)
	}
	k, ok := p.find(a.want)
	if !ok && !p.read {
		if err := p.readAll(ctx); err != nil {
			return err
		}
		k, ok = p.find(a.want)
	}
	if !ok {
		k, ok = p.lender(a.want)
	}
	if !ok {
		e := &cluster.ExhaustedError{From: a.want.From}
		for _, k := range p.blocks(a.want.Space) {
			e.Count(*p.see(k), p.now, p.book.rest)
		}
		return e
	}
	b := p.change(k, a)
	if b.Node == "" {
		b.Node = p.book.node
	}
	a.got, _ = b.Take(a.want, p.now, p.book.rest)
	return nil
}

// alone waits for the NICs that hold the owner's addresses: until they are gone, or their node's hold has lapsed.
func (p *plan) alone(ctx context.Context, w cluster.Want) error {
	if _, err := p.others(w); err != nil && !p.read { // what is known may be old
		if err := p.readAll(ctx); err != nil {
			return err
		}
	}
	others, held := p.others(w)
	for _, h := range others {
		over := false
		if p.book.over != nil && h.Node != p.book.node {
			var err error
			if over, err = p.book.over(ctx, h.Node); err != nil {
				return err
			}
		}
		if !over {
			return fmt.Errorf("%w; it moves when that NIC is gone, or when node %s has not been heard of for a while", held, h.Node)
		}
	}
	return nil
}

func (p *plan) others(w cluster.Want) (others []cluster.Holder, held error) {
	for _, k := range sortedKeys(p.book.known.owners[w.Owner]) {
		if more, err := p.see(k).Others(w); k.Space == w.Space && err != nil {
			others, held = append(others, more...), err
		}
	}
	return others, held
}

// refuses says why a NIC cannot have the address that it asks for; nil: it can.
func (p *plan) refuses(k cluster.Key, a *ask) error {
	b := p.see(k)
	if b == nil {
		return nil
	}
	return b.Refuses(a.exact, a.want, p.now, p.book.rest)
}

// readAll reads all blocks anew.
func (p *plan) readAll(ctx context.Context) error {
	p.read = true
	return p.book.readAll(ctx, true)
}

// holding are the blocks with addresses of a NIC.
func (p *plan) holding(n nic) []cluster.Key {
	keys := sortedKeys(p.book.known.holders[n])
	for _, c := range p.changes {
		if !slices.Contains(keys, c.block.Key) {
			keys = append(keys, c.block.Key)
		}
	}
	return slices.DeleteFunc(keys, func(k cluster.Key) bool {
		return !p.see(k).Holds(cluster.Holder{Container: n.container, Interface: n.device}.Is)
	})
}

// find is the block that an address comes from, without asking other nodes': the one that has one for the NIC or its owner already; one of
// this node, first those with a fresh address, then those with one that has rested; one that was given back; a new one.
func (p *plan) find(w cluster.Want) (cluster.Key, bool) {
	space := p.blocks(w.Space)
	had := append(sortedKeys(p.book.known.holders[nic{w.Holder.Container, w.Holder.Interface}]), sortedKeys(p.book.known.owners[w.Owner])...)
	for _, c := range p.changes {
		had = append(had, c.block.Key)
	}
	for _, k := range had {
		if _, ok := p.see(k).Has(w); ok && k.Space == w.Space {
			return k, true
		}
	}
	var rested, back cluster.Key
	for _, k := range space {
		if p.of[k] == nil && p.book.known.blocks[k].full {
			continue
		}
		switch b := p.see(k); b.Node {
		case p.book.node:
			if _, ok := b.Fresh(w); ok {
				return k, true
			}
			if !rested.Prefix.IsValid() && b.Free(w, p.now, p.book.rest) > 0 {
				rested = k
			}
		case "":
			if !back.Prefix.IsValid() && b.Free(w, p.now, p.book.rest) > 0 {
				back = k
			}
		}
	}
	for _, k := range []cluster.Key{rested, back} {
		if k.Prefix.IsValid() {
			return k, true
		}
	}
	for k := range cluster.Keys(w.Space, w.From) {
		if p.see(k) == nil {
			return k, true
		}
	}
	return cluster.Key{}, false
}

// lender is the block of another node with most to give.
func (p *plan) lender(w cluster.Want) (best cluster.Key, ok bool) {
	most := 0
	for _, k := range p.blocks(w.Space) {
		if n := p.see(k).Free(w, p.now, p.book.rest); n > most {
			best, most = k, n
		}
	}
	return best, most > 0
}

// blocks are those of a space, in order.
func (p *plan) blocks(space string) []cluster.Key {
	keys := slices.Clone(p.book.known.spaces[space])
	for _, c := range p.changes {
		if c.block.Space != space {
			continue
		}
		if i, there := slices.BinarySearchFunc(keys, c.block.Key, inOrder); !there {
			keys = slices.Insert(keys, i, c.block.Key)
		}
	}
	return keys
}
