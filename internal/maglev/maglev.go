// Package maglev shares calls out among backends so that nodes which do not speak with each other choose the same one.
//
// # The world it models
//
// A router in front of the nodes may send packets of one connection, or of one client, to another node from one moment to the next. If
// each node chose by chance, the new one would choose another backend, and the connection would break. So all nodes compute the same
// table of the same backends (D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4): each
// backend has an order of its own in which it wants the elements, and they take one after the other in turn. Who calls is hashed to an
// element. The paper's orders are steps of one length; of some pairs they run into each other, and then several calls in a hundred move
// without need. Here an order is any.
//
//	hash of the call % 251 = 17    element 17 -> member 2    10.244.2.9:8080
//
// When a backend goes, its share of the calls goes to the others, and few of the others' calls move: the larger the table, the fewer. Size
// picks the smallest that moves no more, beyond the share, than a tenth of the share or one call in a hundred, whichever is more.
//
// # Invariants
//
//   - A table depends on its shape and its members, not on their order.
//   - Each member has as many elements as any other, or one more or less.
//   - Hash is what bpf/lib/lb.h computes, on each machine.
//   - Who knows the seed can compute which calls go to one backend, and overload it. Who does not know it can not. The seed is in the
//     ConfigMap, so it is hidden from those alone who cannot read that; without one in there it is the same everywhere.
//
// # Example
//
//	shape := maglev.Shape{Size: maglev.Size(3, 65521), Seed: seed}
//	table := shape.Table([]maglev.Member{{Address: pod, Port: 8080, Protocol: 6}, …})
//	table[maglev.KeyOf(seed).Hash(call)%shape.Size] // the index of a member
package maglev

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
)

// sizes are those that a table may have (they are primes because other implementations need that), and for how many members each is large
// enough: measured, TestAMemberThatGoesMovesLittleElse.
var sizes = []struct {
	size uint32
	upTo int
}{{251, 2}, {509, 3}, {1021, 4}, {2039, 5}, {4093, 6}, {8191, 8}, {16381, 16}, {32749, 64}, {65521, 250}, {131071, 131070}}

// Most is the size of a table that is large enough for 250 members.
const Most = 65521

// Size is that of a table for so many members: at most `most`, if that has an element for each. 0: no table is that large.
func Size(members int, most uint32) uint32 {
	for _, s := range sizes {
		if members < int(s.size) && (members <= s.upTo || s.size >= most) {
			return s.size
		}
	}
	return 0
}

// Seed is a number that all nodes have in common.
type Seed [12]byte

// Shape is what a table is computed with, beside its members.
type Shape struct {
	Size uint32 // 0: there is no table
	Seed Seed
}

// Member is a backend.
type Member struct {
	Address  netip.Addr
	Port     uint16
	Protocol uint8
}

// bytes are the same on every node.
func (m Member) bytes() (b [19]byte) {
	*(*[16]byte)(b[:]) = m.Address.As16()
	binary.BigEndian.PutUint16(b[16:], m.Port)
	b[18] = m.Protocol
	return b
}

// Table gives for each element the index of its member. Members must differ, and be fewer than the size.
func (s Shape) Table(members []Member) []uint32 {
	n := uint32(len(members))
	if n == 0 || n >= s.Size {
		panic(fmt.Sprintf("maglev: a table of %d elements for %d members", s.Size, n))
	}
	of, orders := s.turns(members)
	table, free := make([]uint32, s.Size), freeOf(s.Size)
	last := lastOf(s.Size)
	turn, left := uint32(0), s.Size
	for ; left > last; left-- {
		table[free.take(&orders[turn])] = of[turn]
		if turn++; turn == n {
			turn = 0
		}
	}
	// Who seeks among few that are free passes over many that are not, so these are asked when each member wants them.
	for rest := free.elements(left); len(rest) > 0; {
		i := orders[turn].first(rest)
		table[rest[i]] = of[turn]
		rest[i] = rest[len(rest)-1]
		rest = rest[:len(rest)-1]
		if turn++; turn == n {
			turn = 0
		}
	}
	return table
}

// lastOf is how many elements are left when seeking costs more than asking all of them: size*ln(last) steps against last²/2 questions.
func lastOf(size uint32) uint32 { return uint32(math.Sqrt(float64(size))) }

// turns gives members in the sequence in which they take, by index, and the orders in which they want elements.
func (s Shape) turns(members []Member) (of []uint32, orders []order) {
	of, orders = make([]uint32, len(members)), make([]order, len(members))
	texts := make([][19]byte, len(members))
	for i, m := range members {
		of[i], texts[i] = uint32(i), m.bytes()
	}
	slices.SortFunc(of, func(a, b uint32) int { return bytes.Compare(texts[a][:], texts[b][:]) })
	var text [len(s.Seed) + len(texts[0])]byte
	copy(text[:], s.Seed[:])
	for turn, member := range of {
		copy(text[len(s.Seed):], texts[member][:])
		orders[turn] = orderOf(s.Size, sha256.Sum256(text[:]))
	}
	return of, orders
}

// free is a set of elements, a bit each: small enough to stay in the fastest cache.
type free []uint64

func freeOf(size uint32) free {
	f := make(free, (1<<bits.Len32(size)+63)/64)
	for e := range size {
		f[e/64] |= 1 << (e % 64)
	}
	return f
}

// take gives the first element of an order that is free, and is not any more; there is one.
func (f free) take(o *order) uint32 {
	for {
		e := o.element(o.at)
		o.at++
		if f[e/64]&(1<<(e%64)) != 0 {
			f[e/64] &^= 1 << (e % 64)
			return e
		}
	}
}

// elements are those of the set, which has so many.
func (f free) elements(n uint32) []uint32 {
	list := make([]uint32, 0, n)
	for i, word := range f {
		for ; word != 0; word &= word - 1 {
			list = append(list, uint32(i*64+bits.TrailingZeros64(word)))
		}
	}
	return list
}

// order is a permutation of numbers of so many bits: additions, multiplications by odd numbers and shifts can all be undone. Numbers
// that are no elements are passed over: there are few, since sizes lie right below powers of two.
type order struct {
	mask, shift      uint32
	add, times, back [3]uint32 // back undoes times
	at               uint32    // the place that comes next
}

func orderOf(size uint32, sum [sha256.Size]byte) (o order) {
	width := bits.Len32(size)
	o.mask, o.shift = 1<<width-1, uint32(width+1)/2
	for i := range o.add {
		o.add[i] = binary.BigEndian.Uint32(sum[4*i:])
		o.times[i] = binary.BigEndian.Uint32(sum[12+4*i:]) | 1
		o.back[i] = o.times[i] // right in 3 bits; each step doubles them
		for range 4 {
			o.back[i] *= 2 - o.times[i]*o.back[i]
		}
	}
	return o
}

// element is the one that comes at this place of the order.
func (o *order) element(place uint32) uint32 {
	shift := o.shift & 31
	place = (place + o.add[0]) * o.times[0] & o.mask
	place ^= place >> shift
	place = (place + o.add[1]) * o.times[1] & o.mask
	place ^= place >> shift
	place = (place + o.add[2]) * o.times[2] & o.mask
	return place ^ place>>shift
}

// place is where an element comes: what element does, undone. A shift by half the width or more undoes itself.
func (o *order) place(element uint32) uint32 {
	shift := o.shift & 31
	element ^= element >> shift
	element = (element*o.back[2] - o.add[2]) & o.mask
	element ^= element >> shift
	element = (element*o.back[1] - o.add[1]) & o.mask
	element ^= element >> shift
	return (element*o.back[0] - o.add[0]) & o.mask
}

// first is the index of the element that comes first in an order.
func (o *order) first(elements []uint32) (at int) {
	least := ^uint32(0)
	for i, e := range elements {
		if p := o.place(e); p < least {
			at, least = i, p
		}
	}
	return at
}
