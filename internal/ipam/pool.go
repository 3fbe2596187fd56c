package ipam

import (
	"container/list"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Pool is the addresses of one family that a node may give to its workloads. Not safe for concurrent use.
type Pool struct {
	rest     time.Duration
	prefixes []*prefix
	owners   map[netip.Addr]string        // of held addresses
	held     map[string]netip.Addr        // by owner
	back     map[netip.Addr]*list.Element // given back and not given out since
	queue    *list.List                   // of returned, the longest back first
}

// prefix is one prefix with the never-used part of it: from next to last. Below next every address is held or back.
type prefix struct {
	netip.Prefix
	first, last netip.Addr // that a workload may have; first is after last if there is none
	next        netip.Addr // zero: all have been used
	reserved    int
}

type returned struct {
	addr netip.Addr
	at   time.Time
}

// New makes a pool of prefixes of one family. An address that is given back rests for rest before it is given out again.
func New(rest time.Duration, prefixes ...netip.Prefix) *Pool {
	p := &Pool{rest: rest, owners: map[netip.Addr]string{}, held: map[string]netip.Addr{}, back: map[netip.Addr]*list.Element{}, queue: list.New()}
	p.SetPrefixes(prefixes...)
	return p
}

// SetPrefixes replaces what the pool consists of. Prefixes that stay keep their history; addresses outside remain with
// their owners until these give them back.
func (p *Pool) SetPrefixes(prefixes ...netip.Prefix) {
	old := map[netip.Prefix]*prefix{}
	for _, x := range p.prefixes {
		old[x.Prefix] = x
	}
	p.prefixes = nil
	for _, x := range prefixes {
		x = x.Masked()
		if slices.ContainsFunc(p.prefixes, func(y *prefix) bool { return y.Prefix == x }) {
			continue
		}
		if had := old[x]; had != nil {
			p.prefixes = append(p.prefixes, had)
		} else {
			p.prefixes = append(p.prefixes, newPrefix(x))
		}
	}
}

// Prefixes is what the pool consists of.
func (p *Pool) Prefixes() []netip.Prefix {
	out := make([]netip.Prefix, len(p.prefixes))
	for i, x := range p.prefixes {
		out[i] = x.Prefix
	}
	return out
}

func newPrefix(p netip.Prefix) *prefix {
	x := &prefix{Prefix: p, first: p.Addr(), last: lastOf(p)}
	if host := p.Addr().BitLen() - p.Bits(); host >= 2 {
		x.first, x.reserved = p.Addr().Next().Next(), 2
		if p.Addr().Is4() {
			x.last, x.reserved = x.last.Prev(), 3
		}
	}
	x.next = x.first
	return x
}

// usable tells whether a workload may have an address of this prefix.
func (x *prefix) usable(a netip.Addr) bool { return x.first.Compare(a) <= 0 && a.Compare(x.last) <= 0 }

// skip moves next to an address that is neither held nor back.
func (p *Pool) skip(x *prefix) {
	for x.next.IsValid() {
		if x.next.Compare(x.last) > 0 {
			x.next = netip.Addr{}
			return
		}
		_, held := p.owners[x.next]
		if _, back := p.back[x.next]; !held && !back {
			return
		}
		x.next = x.next.Next() // zero after the last address of the family
	}
}

// Allocate gives owner an address of these prefixes of the pool, of all of them if none is named, or the one it already holds. The error is an
// *ExhaustedError.
func (p *Pool) Allocate(owner string, now time.Time, of ...netip.Prefix) (netip.Addr, error) {
	if a, ok := p.held[owner]; ok {
		return a, nil
	}
	for _, x := range p.prefixes {
		if !x.among(of) {
			continue
		}
		if p.skip(x); x.next.IsValid() {
			return p.hold(owner, x.next), nil
		}
	}
	for e := p.queue.Front(); e != nil; {
		r, next := e.Value.(returned), e.Next()
		if now.Sub(r.at) < p.rest {
			break
		}
		switch x := p.within(r.addr); {
		case x == nil:
			p.forget(r.addr) // rested, and no prefix wants it back
		case x.among(of):
			return p.hold(owner, r.addr), nil
		}
		e = next
	}
	return netip.Addr{}, p.exhausted(now, of)
}

// among tells whether a prefix is one of these; none: of all.
func (x *prefix) among(of []netip.Prefix) bool { return len(of) == 0 || slices.Contains(of, x.Prefix) }

// Claim gives owner the address it asks for. The error says why it may not have it: a *ClaimError.
func (p *Pool) Claim(owner string, a netip.Addr, now time.Time) error {
	if held, ok := p.held[owner]; ok && held == a {
		return nil
	} else if ok {
		return &ClaimError{Address: a, Reason: fmt.Sprintf("its owner already holds %s", held)}
	}
	if by, ok := p.owners[a]; ok {
		return &ClaimError{Address: a, Reason: "it is held by " + by}
	}
	x := p.within(a)
	switch {
	case x == nil && len(p.prefixes) == 0:
		return &ClaimError{Address: a, Reason: "this node has no prefix of that family"}
	case x == nil:
		return &ClaimError{Address: a, Reason: "it is not in " + p.text()}
	case !x.usable(a):
		return &ClaimError{Address: a, Reason: fmt.Sprintf("it is the network, node or broadcast address of %s", x.Prefix)}
	}
	if e, ok := p.back[a]; ok {
		if left := p.rest - now.Sub(e.Value.(returned).at); left > 0 {
			return &ClaimError{Address: a, Reason: fmt.Sprintf("it was given back a moment ago and rests for another %s", left.Round(time.Second)), Later: true}
		}
	}
	p.hold(owner, a)
	return nil
}

// Restore records that owner has held a since before this pool began, inside its prefixes or not. It fails if that
// cannot be, since the address has another owner or the owner another address.
func (p *Pool) Restore(owner string, a netip.Addr) error {
	if by, ok := p.owners[a]; ok && by != owner {
		return &ClaimError{Address: a, Reason: "it is held by " + by}
	}
	if held, ok := p.held[owner]; ok && held != a {
		return &ClaimError{Address: a, Reason: fmt.Sprintf("its owner already holds %s", held)}
	}
	p.hold(owner, a)
	return nil
}

// Marks are what has been used: kept by the caller, they let a pool that is built again know it.
type Marks struct {
	Next   map[netip.Prefix]netip.Addr `json:"next"`             // every address of the prefix below this; one past the last that a workload may have: all
	Beyond []netip.Addr                `json:"beyond,omitempty"` // and these: asked for by name, or of a prefix that was gone meanwhile
}

// Marks tells what of the pool has been used, other than what is free again.
func (p *Pool) Marks() Marks {
	m := Marks{Next: map[netip.Prefix]netip.Addr{}}
	for _, x := range p.prefixes {
		if p.skip(x); x.next.IsValid() {
			m.Next[x.Prefix] = x.next
		} else {
			m.Next[x.Prefix] = x.last
			if x.last.Next().IsValid() {
				m.Next[x.Prefix] = x.last.Next()
			}
		}
	}
	for a := range p.owners {
		m.Use(a)
	}
	for a := range p.back {
		m.Use(a)
	}
	slices.SortFunc(m.Beyond, netip.Addr.Compare)
	return m
}

// Used tells whether an address is marked as used.
func (m *Marks) Used(a netip.Addr) bool {
	for p, next := range m.Next {
		if p.Contains(a) && a.Compare(next) < 0 {
			return true
		}
	}
	return slices.Contains(m.Beyond, a)
}

// Use marks an address as used.
func (m *Marks) Use(a netip.Addr) {
	if !m.Used(a) {
		m.Beyond = append(m.Beyond, a)
	}
}

// Rest takes up the marks of an earlier pool, after everything held has been restored: what they mark and no owner holds
// has been given back at some time before now, and begins its rest now.
func (p *Pool) Rest(m Marks, now time.Time) {
	rest := func(a netip.Addr) {
		if _, held := p.owners[a]; !held && p.back[a] == nil {
			p.back[a] = p.queue.PushBack(returned{a, now})
		}
	}
	for _, x := range p.prefixes {
		mark, ok := m.Next[x.Prefix]
		for ok && x.next.IsValid() && x.next.Compare(mark) < 0 && x.next.Compare(x.last) <= 0 {
			rest(x.next)
			x.next = x.next.Next()
		}
	}
	for _, a := range m.Beyond {
		rest(a)
	}
}

// Release takes back what owner holds. It returns false if that is nothing.
func (p *Pool) Release(owner string, now time.Time) (netip.Addr, bool) {
	a, ok := p.held[owner]
	if !ok {
		return netip.Addr{}, false
	}
	delete(p.held, owner)
	delete(p.owners, a)
	p.back[a] = p.queue.PushBack(returned{a, now})
	return a, true
}

// Held is the address that owner has.
func (p *Pool) Held(owner string) (netip.Addr, bool) {
	a, ok := p.held[owner]
	return a, ok
}

// Owners are all who hold an address, sorted.
func (p *Pool) Owners() []string { return slices.Sorted(maps.Keys(p.held)) }

// Free tells whether Allocate would find an address for a new owner, and if not, why: an *ExhaustedError.
func (p *Pool) Free(now time.Time, of ...netip.Prefix) error {
	for _, x := range p.prefixes {
		if !x.among(of) {
			continue
		}
		if p.skip(x); x.next.IsValid() {
			return nil
		}
	}
	for e := p.queue.Front(); e != nil; e = e.Next() {
		r := e.Value.(returned)
		if now.Sub(r.at) < p.rest {
			break
		}
		if x := p.within(r.addr); x != nil && x.among(of) {
			return nil
		}
	}
	return p.exhausted(now, of)
}

func (p *Pool) hold(owner string, a netip.Addr) netip.Addr {
	p.forget(a)
	p.owners[a], p.held[owner] = owner, a
	return a
}

func (p *Pool) forget(a netip.Addr) {
	if e, ok := p.back[a]; ok {
		p.queue.Remove(e)
		delete(p.back, a)
	}
}

// within is the prefix that an address belongs to, nil if none.
func (p *Pool) within(a netip.Addr) *prefix {
	for _, x := range p.prefixes {
		if x.Contains(a) {
			return x
		}
	}
	return nil
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
