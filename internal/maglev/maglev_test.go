package maglev

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// members are so many, of both families, whose addresses follow each other as those of pods do.
func members(n int) (list []Member) {
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 244, byte(i >> 8), byte(i)})
		if i%7 == 3 {
			a = netip.AddrFrom16([16]byte{0xfd, 0, 14: byte(i >> 8), 15: byte(i)})
		}
		list = append(list, Member{a, 8080, 6})
	}
	return list
}

func seed(rt *rapid.T) (s Seed) {
	copy(s[:], rapid.SliceOfN(rapid.Byte(), len(s), len(s)).Draw(rt, "seed"))
	return s
}

// moved is the part of all calls that go to another member when one has gone.
func moved(s Shape, list []Member, gone int) float64 {
	before, rest := s.Table(list), slices.Delete(slices.Clone(list), gone, gone+1)
	after, n := s.Table(rest), 0
	for e := range before {
		if list[before[e]] != rest[after[e]] {
			n++
		}
	}
	return float64(n) / float64(s.Size)
}

func TestAMemberThatGoesMovesLittleElse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 200).Draw(rt, "members")
		share := 1 / float64(n)
		s := Shape{Size(n, Most), seed(rt)}
		if have := moved(s, members(n), rapid.IntRange(0, n-1).Draw(rt, "gone")); have > share+max(share/10, 0.01) {
			rt.Errorf("%.4f of all calls move when one of %d members goes from a table of %d, beyond its share of %.4f: %.4f", have, n, s.Size, share, have-share)
		}
	})
}

func TestMembersHaveEqualShares(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Shape{rapid.SampledFrom(sizes[:8]).Draw(rt, "size").size, seed(rt)}
		count := make([]uint32, rapid.IntRange(1, 250).Draw(rt, "members"))
		for _, member := range s.Table(members(len(count))) {
			count[member]++
		}
		if least, most := slices.Min(count), slices.Max(count); most-least > 1 {
			rt.Errorf("one of %d members has %d elements of %d, another %d", len(count), least, s.Size, most)
		}
	})
}

func TestTheOrderOfMembersDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Shape{rapid.SampledFrom(sizes[:6]).Draw(rt, "size").size, seed(rt)}
		list := members(rapid.IntRange(1, 100).Draw(rt, "members"))
		shuffled := rapid.Permutation(list).Draw(rt, "shuffled")
		a, b := s.Table(list), s.Table(shuffled)
		for e := range a {
			if list[a[e]] != shuffled[b[e]] {
				rt.Fatalf("element %d leads to %v in one order and to %v in another", e, list[a[e]], shuffled[b[e]])
			}
		}
	})
}

func TestASeedMakesAnotherTable(t *testing.T) {
	list := members(10)
	a, b := Shape{1021, Seed{1}}.Table(list), Shape{1021, Seed{2}}.Table(list)
	same := 0
	for e := range a {
		if a[e] == b[e] {
			same++
		}
	}
	if same > 1021/5 {
		t.Errorf("%d of 1021 elements are the same with another seed", same)
	}
}

func TestATableHasAnElementForEachMember(t *testing.T) {
	for _, c := range []struct {
		members    int
		most, want uint32
	}{{1, Most, 251}, {2, Most, 251}, {3, Most, 509}, {10, Most, 16381}, {60, Most, 32749}, {100, Most, 65521}, {200, Most, 65521}, {1000, Most, 65521}, {100, 251, 251}, {250, 251, 251}, {251, 251, 509}, {70000, Most, 131071}, {131071, Most, 0}} {
		if have := Size(c.members, c.most); have != c.want {
			t.Errorf("%d members, at most %d: a table of %d, want %d", c.members, c.most, have, c.want)
		}
	}
}

// Calls as they come: one client from one port after the other, and clients whose addresses follow each other. They are shared out as evenly as
// chance would (chi-squared, one case in 10^6 is further off).
func TestCallsAreSpreadEvenly(t *testing.T) {
	const elements, each = 251, 400
	service := netip.MustParseAddrPort("203.0.113.7:443")
	for name, call := range map[string]func(i int) (Call, bool){
		"ports": func(i int) (Call, bool) {
			return Call{netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i >> 16)}), uint16(i)), service, 6}, false
		},
		"addresses": func(i int) (Call, bool) {
			return Call{netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), 4711), service, 6}, false
		},
		"addresses alone": func(i int) (Call, bool) {
			return Call{netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(rand.N(65536))), service, 6}, true
		},
		"long addresses alone": func(i int) (Call, bool) {
			return Call{netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i), 15: 1}), 4711), service, 6}, true
		},
	} {
		for try := range 20 {
			var count [elements]int
			key := KeyOf(Seed{byte(try), 7})
			for i := range elements * each {
				c, alone := call(i)
				count[key.Hash(c, alone)%elements]++
			}
			chi := 0.0
			for _, n := range count {
				chi += float64((n-each)*(n-each)) / each
			}
			if chi > 370 { // 250 degrees of freedom
				t.Errorf("%s, seed %d: chi-squared is %.0f", name, try, chi)
			}
		}
	}
}

func TestAClientAloneCountsWithAffinity(t *testing.T) {
	key := KeyOf(Seed{1})
	a := Call{netip.MustParseAddrPort("198.51.100.7:1000"), netip.MustParseAddrPort("203.0.113.7:443"), 6}
	b := Call{netip.MustParseAddrPort("198.51.100.7:2000"), netip.MustParseAddrPort("203.0.113.8:80"), 17}
	if key.Hash(a, true) != key.Hash(b, true) || key.Hash(a, false) == key.Hash(b, false) {
		t.Error("want one hash for one client with affinity, and two for two calls without")
	}
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{3, 10, 100, 200} {
		list, s := members(n), Shape{Size(n, Most), Seed{1}}
		b.Run(fmt.Sprintf("members=%d/size=%d", n, s.Size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Table(list)
			}
		})
	}
}
