// Package division divides the addresses of one family by what is said of their prefixes: a pure function.
//
// Each Mark says that the addresses of a prefix are in, or out of, what has a key. Parts are the places where something
// changes: whoever looks up an address finds the longest Part that it lies in, and there the keys that it has. An
// exception wins over whatever else is said of its key.
//
//	10.0.0.0/8 in a, 10.1.0.0/16 in b, 10.1.2.0/24 out of a     ->  10.0.0.0/8: a, 10.1.0.0/16: a b, 10.1.2.0/24: b
//
// Invariants: parts are sorted, each after those that it lies in; no part says what the next longer one around it says
// already; the order of marks is without meaning.
package division

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
)

// Mark says that the addresses of a prefix have a key, or that they do not.
type Mark struct {
	Prefix netip.Prefix
	Key    string // without newlines
	Except bool
}

// Part is a prefix whose addresses have these keys, as far as no longer part says more.
type Part struct {
	Prefix netip.Prefix
	Keys   string // sorted, with newlines between; empty: none
}

// Of divides by marks of one family.
func Of(marks []Mark) (parts []Part) {
	marks = slices.Clone(marks)
	slices.SortFunc(marks, func(a, b Mark) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	var over []frame // prefixes that the present one lies in, the longest last
	for i := 0; i < len(marks); {
		p := marks[i].Prefix
		for len(over) > 0 && !over[len(over)-1].prefix.Contains(p.Addr()) {
			over = over[:len(over)-1]
		}
		var above frame
		if len(over) > 0 {
			above = over[len(over)-1]
		}
		f := frame{prefix: p, within: above.within, except: above.except}
		for ; i < len(marks) && marks[i].Prefix == p; i++ {
			if marks[i].Except {
				f.except = with(f.except, marks[i].Key)
			} else {
				f.within = with(f.within, marks[i].Key)
			}
		}
		f.keys = f.chosen()
		if f.keys != above.keys {
			parts = append(parts, Part{p, f.keys})
		}
		over = append(over, f)
	}
	return parts
}

// frame is a prefix with all that marks say of it and of those that it lies in; the lists are sorted and shared.
type frame struct {
	prefix         netip.Prefix
	within, except []string
	keys           string
}

func (f frame) chosen() string {
	chosen := make([]string, 0, len(f.within))
	for _, key := range f.within {
		if _, out := slices.BinarySearch(f.except, key); !out {
			chosen = append(chosen, key)
		}
	}
	return strings.Join(chosen, "\n")
}

// with adds a text to a sorted list that others use, too.
func with(list []string, text string) []string {
	at, there := slices.BinarySearch(list, text)
	if there {
		return list
	}
	return slices.Insert(slices.Clone(list), at, text)
}

// Numbers gives each text a number from 1 to 0xffffff that depends on it alone, but for texts that want the same one: there
// it depends on which there are, and on no order.
func Numbers(texts []string) map[string]uint32 {
	list := slices.Clone(texts)
	slices.Sort(list)
	numbers := make(map[string]uint32, len(list))
	taken := map[uint32]bool{0: true}
	for _, text := range slices.Compact(list) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(text))
		n := (h.Sum32()>>24 ^ h.Sum32()) & 0xffffff
		for taken[n] {
			n = (n + 1) & 0xffffff
		}
		taken[n] = true
		numbers[text] = n
	}
	return numbers
}
