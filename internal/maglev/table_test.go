package maglev

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// slowTable is what the paper says, in its words: each member in turn takes the first element of its order that none has.
func slowTable(s Shape, list []Member) []uint32 {
	const none = ^uint32(0)
	of := make([]int, len(list))
	for i := range of {
		of[i] = i
	}
	slices.SortFunc(of, func(a, b int) int { x, y := list[a].bytes(), list[b].bytes(); return slices.Compare(x[:], y[:]) })
	at, orders := make([]uint32, len(list)), make([]order, len(list))
	for turn, member := range of {
		text := list[member].bytes()
		orders[turn] = orderOf(s.Size, sha256.Sum256(append(slices.Clone(s.Seed[:]), text[:]...)))
	}
	table := slices.Repeat([]uint32{none}, int(s.Size))
	for taken := range int(s.Size) {
		turn := taken % len(list)
		for {
			e := orders[turn].element(at[turn])
			at[turn]++
			if e < s.Size && table[e] == none {
				table[e] = uint32(of[turn])
				break
			}
		}
	}
	return table
}

func TestEachMemberInTurnTakesTheFirstElementThatIsFree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := Shape{rapid.SampledFrom(sizes[:7]).Draw(rt, "size").size, seed(rt)}
		list := members(rapid.IntRange(1, 250).Draw(rt, "members"))
		want, have := slowTable(s, list), s.Table(list)
		for e := range want {
			if want[e] != have[e] {
				rt.Fatalf("element %d leads to member %d, want %d", e, have[e], want[e])
			}
		}
	})
}

// Nodes of two versions stand side by side, and must lead a call to one backend.
func TestATableIsTheSameInEachVersion(t *testing.T) {
	for _, c := range []struct {
		members int
		want    string
	}{{1, "fa16c3b03c75c0d2"}, {2, "fa6a3489c72c4d53"}, {10, "27e4ce189e72c455"}, {100, "8fc17680c3b7aea9"}, {251, "dc201afde5ea30a4"}} {
		s := Shape{Size(c.members, Most), Seed{1, 2, 3}}
		sum := sha256.New()
		for _, m := range s.Table(members(c.members)) {
			_ = binary.Write(sum, binary.BigEndian, m)
		}
		if have := fmt.Sprintf("%x", sum.Sum(nil)[:8]); have != c.want {
			t.Errorf("the table of %d members has digest %s, want %s", c.members, have, c.want)
		}
	}
}

func TestAnOrderCanBeUndone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		of := rapid.SampledFrom(sizes).Draw(rt, "size").size
		s := seed(rt)
		o := orderOf(of, sha256.Sum256(s[:]))
		for range 100 {
			place := rapid.Uint32Range(0, o.mask).Draw(rt, "place")
			if have := o.place(o.element(place)); have != place {
				rt.Fatalf("element %d comes at place %d, and is said to come at %d", o.element(place), place, have)
			}
		}
	})
}
