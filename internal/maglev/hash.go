package maglev

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// Key is what calls are hashed with: of a seed, and as secret.
type Key [10]uint32

// KeyOf spreads a seed.
func KeyOf(seed Seed) (k Key) {
	var sum [64]byte
	for half := range 2 {
		part := sha256.Sum256(append([]byte{'c', 'a', 'l', 'l', byte(half)}, seed[:]...))
		copy(sum[half*sha256.Size:], part[:])
	}
	for i := range k {
		k[i] = binary.LittleEndian.Uint32(sum[4*i:])
	}
	return k
}

// Call is who calls what, as the packet has it.
type Call struct {
	Client, Service netip.AddrPort
	Protocol        uint8
}

// Hash is lb_hash of bpf/lib/lb.h: NH (RFC 4418, 5.2) of the words, of which no two calls have one result but by chance as long as the
// key is not known, mixed so that all bits of it count. alone: the client's address is all that counts, for a service with affinity.
func (k Key) Hash(c Call, alone bool) uint32 {
	words := func(a netip.Addr) (w [4]uint32) {
		b := a.As16()
		for i := range w {
			w[i] = binary.LittleEndian.Uint32(b[4*i:])
		}
		return w
	}
	pair := func(at int, a, b uint32) uint64 { return uint64(a+k[at]) * uint64(b+k[at+1]) }
	client := words(c.Client.Addr())
	h := pair(0, client[0], client[1]) + pair(2, client[2], client[3])
	if !alone {
		service := words(c.Service.Addr())
		h += pair(4, service[0], service[1]) + pair(6, service[2], service[3])
		h += pair(8, uint32(c.Client.Port())<<16|uint32(c.Service.Port()), uint32(c.Protocol))
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return uint32(h >> 32)
}
