package cluster

import (
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"
)

// Size is how many addresses a block has.
const Size = 16

const hostBits = 4

// Key says which block.
type Key struct {
	Space  string
	Prefix netip.Prefix
}

// KeyOf is the block that an address of a space is in.
func KeyOf(space string, a netip.Addr) Key {
	return Key{space, netip.PrefixFrom(a, a.BitLen()-hostBits).Masked()}
}

// Keys are the blocks that have addresses of spans, in order.
func Keys(space string, spans []netipx.IPRange) iter.Seq[Key] {
	return func(yield func(Key) bool) {
		var last Key
		for _, span := range spans {
			for k := KeyOf(space, span.From()); k.Prefix.Addr().Compare(span.To()) <= 0; {
				if k != last && !yield(k) {
					return
				}
				last = k
				next := netipx.PrefixLastIP(k.Prefix).Next()
				if !next.IsValid() {
					break
				}
				k = KeyOf(space, next)
			}
		}
	}
}

var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$`)

// Name is that of the block's object: b-10.0.200.16, or blue-10.0.200.16 in a space of its own.
func (k Key) Name() string {
	space := k.Space
	switch {
	case space == "":
		space = "b"
	case space == "b" || !label.MatchString(space):
		h := fnv.New64a()
		h.Write([]byte(space))
		space = fmt.Sprintf("h-%016x", h.Sum64())
	}
	return space + "-" + strings.ReplaceAll(k.Prefix.Addr().StringExpanded(), ":", "-")
}

// Holder is a NIC.
type Holder struct {
	Node, Container, Interface string
	Pod                        string // namespace/name
}

// Is tells whether two are the same NIC.
func (h Holder) Is(o Holder) bool { return h.Container == o.Container && h.Interface == o.Interface }

// Use says what an address is used for.
type Use struct {
	Owner   string
	Holders []Holder
	Since   time.Time
	Back    time.Time // zero while there are holders
}

// Block is one as it was read.
type Block struct {
	Key
	Node string // empty: it has been given back
	Used map[netip.Addr]Use
}

// Clone is a copy that can be changed.
func (b Block) Clone() Block {
	used := make(map[netip.Addr]Use, len(b.Used))
	for a, u := range b.Used {
		u.Holders = slices.Clone(u.Holders)
		used[a] = u
	}
	b.Used = used
	return b
}

// Want is what a NIC needs.
type Want struct {
	Space  string
	From   []netipx.IPRange // of which one address
	Owner  string           // keeps the address when the NIC is gone; empty: none does
	Was    string           // an owner whose address this NIC may take over; empty: none
	Holder Holder
	Alone  bool // an owner's address is held by one NIC at a time: another one that holds it loses it
}

func (w Want) within(a netip.Addr) bool {
	return slices.ContainsFunc(w.From, func(r netipx.IPRange) bool { return r.Contains(a) })
}

// Has is the address of the block that the NIC, or its owner, has already.
func (b *Block) Has(w Want) (netip.Addr, bool) {
	for _, a := range b.sorted() {
		u := b.Used[a]
		if w.within(a) && (w.Owner != "" && u.Owner == w.Owner || slices.ContainsFunc(u.Holders, w.Holder.Is)) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Take gives an address: the one that the NIC or its owner has, else the first that was never used, else the one that was given back
// longest ago and has rested. False: the block has none.
func (b *Block) Take(w Want, now time.Time, rest time.Duration) (netip.Addr, bool) {
	if a, ok := b.Has(w); ok {
		b.hold(a, w, now)
		return a, true
	}
	if a, ok := b.Fresh(w); ok {
		b.hold(a, w, now)
		return a, true
	}
	var oldest netip.Addr
	for _, a := range b.sorted() {
		if u := b.Used[a]; w.within(a) && u.free(now, rest) && (!oldest.IsValid() || u.Back.Before(b.Used[oldest].Back)) {
			oldest = a
		}
	}
	if oldest.IsValid() {
		delete(b.Used, oldest)
		b.hold(oldest, w, now)
	}
	return oldest, oldest.IsValid()
}

// Fresh is the first address of the block that has never been used.
func (b *Block) Fresh(w Want) (netip.Addr, bool) {
	if len(b.Used) == Size {
		return netip.Addr{}, false
	}
	for _, span := range w.From {
		from, to := span.From(), span.To()
		if first := b.Prefix.Addr(); from.Is4() != first.Is4() {
			continue
		} else if from.Compare(first) < 0 {
			from = first
		}
		if last := netipx.PrefixLastIP(b.Prefix); to.Compare(last) > 0 {
			to = last
		}
		for a := from; a.IsValid() && a.Compare(to) <= 0; a = a.Next() {
			if _, used := b.Used[a]; !used {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// Free counts the addresses that could be given.
func (b *Block) Free(w Want, now time.Time, rest time.Duration) (n int) {
	for a := b.Prefix.Addr(); a.IsValid() && b.Prefix.Contains(a); a = a.Next() {
		if u, used := b.Used[a]; w.within(a) && (!used || u.free(now, rest)) {
			n++
		}
	}
	return n
}

// Others are the NICs that hold an owner's address of the block beside the one that wants it, with a *HeldError that says so; none: nil.
func (b *Block) Others(w Want) (others []Holder, err error) {
	for _, a := range b.sorted() {
		if u := b.Used[a]; w.Owner != "" && u.Owner == w.Owner && w.within(a) {
			for _, h := range u.Holders {
				if !w.Holder.Is(h) {
					others, err = append(others, h), &HeldError{Address: a, Use: u}
				}
			}
		}
	}
	return others, err
}

// Full tells whether every address is held or kept.
func (b *Block) Full() bool {
	for _, u := range b.Used {
		if len(u.Holders) == 0 && u.Owner == "" {
			return false
		}
	}
	return len(b.Used) == Size
}

// Refuses says why a NIC cannot have an address that it asks for by name: a *HeldError; nil: it can.
func (b *Block) Refuses(a netip.Addr, w Want, now time.Time, rest time.Duration) error {
	u, used := b.Used[a]
	mine := u.Owner != "" && (u.Owner == w.Owner || u.Owner == w.Was) || slices.ContainsFunc(u.Holders, w.Holder.Is)
	if !used || mine || u.free(now, rest) {
		return nil
	}
	return &HeldError{Address: a, Use: u}
}

// Claim gives an address that is asked for by name, unless it Refuses.
func (b *Block) Claim(a netip.Addr, w Want, now time.Time, rest time.Duration) error {
	if err := b.Refuses(a, w, now, rest); err != nil {
		return err
	}
	if u, used := b.Used[a]; used && u.free(now, rest) {
		delete(b.Used, a)
	}
	b.hold(a, w, now)
	return nil
}

func (u Use) free(now time.Time, rest time.Duration) bool {
	return len(u.Holders) == 0 && u.Owner == "" && now.Sub(u.Back) >= rest
}

func (b *Block) hold(a netip.Addr, w Want, now time.Time) {
	u, ok := b.Used[a]
	if !ok {
		u = Use{Since: now}
	}
	if w.Owner != "" || u.Owner == w.Was {
		u.Owner = w.Owner
	}
	if i := slices.IndexFunc(u.Holders, w.Holder.Is); w.Alone {
		u.Holders = []Holder{w.Holder}
	} else if i >= 0 {
		u.Holders[i] = w.Holder
	} else {
		u.Holders = append(u.Holders, w.Holder)
	}
	u.Back = time.Time{}
	if b.Used == nil {
		b.Used = map[netip.Addr]Use{}
	}
	b.Used[a] = u
}

// Release takes back what a NIC holds: for none to keep, or for its owner to keep if it has one. It tells whether that was anything.
func (b *Block) Release(match func(Holder) bool, now time.Time) (changed bool) {
	for a, u := range b.Used {
		if !slices.ContainsFunc(u.Holders, match) {
			continue
		}
		u.Holders = slices.DeleteFunc(slices.Clone(u.Holders), match)
		if len(u.Holders) == 0 {
			u.Back = now
		}
		b.Used[a], changed = u, true
	}
	return changed
}

// Holds tells whether a NIC has an address of the block.
func (b *Block) Holds(match func(Holder) bool) bool {
	for _, u := range b.Used {
		if slices.ContainsFunc(u.Holders, match) {
			return true
		}
	}
	return false
}

// Let takes back one address of a NIC.
func (b *Block) Let(a netip.Addr, h Holder, now time.Time) {
	if u, ok := b.Used[a]; ok && slices.ContainsFunc(u.Holders, h.Is) {
		u.Holders = slices.DeleteFunc(slices.Clone(u.Holders), h.Is)
		if len(u.Holders) == 0 {
			u.Back = now
		}
		b.Used[a] = u
	}
}

// Disown gives an owner's address to another owner; empty: to none.
func (b *Block) Disown(a netip.Addr, owner, to string) {
	if u, ok := b.Used[a]; ok && u.Owner == owner {
		u.Owner = to
		b.Used[a] = u
	}
}

// Empty tells whether nothing of the block is used: it can be given back.
func (b *Block) Empty() bool { return len(b.Used) == 0 }

func (b *Block) sorted() []netip.Addr {
	return slices.SortedFunc(maps.Keys(b.Used), netip.Addr.Compare)
}

// World is what a sweep needs to know.
type World struct {
	Now   time.Time
	Rest  time.Duration
	Grace time.Duration          // a claim that is being made has entries before its owner's object is there
	Node  func(name string) bool // it is in the cluster
	Keeps func(space, owner string, a netip.Addr) bool
}

// Sweep takes away what no longer counts: holders on nodes that are gone, addresses whose owner is gone, those that have rested.
func (b *Block) Sweep(w World) (changed bool) {
	changed = b.Release(func(h Holder) bool { return !w.Node(h.Node) }, w.Now)
	for a, u := range b.Used {
		if len(u.Holders) == 0 && u.Owner != "" && w.Now.Sub(u.Back) >= w.Grace && !w.Keeps(b.Space, u.Owner, a) {
			u.Owner = ""
			b.Used[a], changed = u, true
		}
		if u.free(w.Now, w.Rest) {
			delete(b.Used, a)
			changed = true
		}
	}
	if b.Node != "" && !w.Node(b.Node) {
		b.Node, changed = "", true
	}
	return changed
}
