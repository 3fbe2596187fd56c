// Package partition divides the addresses of one family by what is said of their prefixes: a pure function.
//
// Each Member says that the addresses of a prefix are in the class with a key, or out of it. Parts are the prefixes at which something
// changes: a lookup of an address finds the longest Part that it lies in, and there its keys. An
// exception wins over whatever else is said of its key.
//
//	10.0.0.0/8 in a, 10.1.0.0/16 in b, 10.1.2.0/24 out of a     ->  10.0.0.0/8: a, 10.1.0.0/16: a b, 10.1.2.0/24: b
//
// Invariants: parts are sorted, each after those that it lies in; no part says what the next longer one around it says
// already; the order of members is without meaning.
package partition

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
)

// Member says that the addresses of a prefix have a key, or that they do not.
type Member struct {
	Prefix netip.Prefix
	Key    string // without newlines
	Except bool
}

// Part is a prefix whose addresses have these keys, as far as no longer part says more.
type Part struct {
	Prefix netip.Prefix
	Keys   string // sorted, with newlines between; empty: none
}

// Of divides by members of one family.
func Of(members []Member) (parts []Part) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	var over []frame // prefixes that the present one lies in, the longest last
	for i := 0; i < len(members); {
		p := members[i].Prefix
		for len(over) > 0 && !over[len(over)-1].prefix.Contains(p.Addr()) {
			over = over[:len(over)-1]
		}
		var above frame
		if len(over) > 0 {
			above = over[len(over)-1]
		}
		f := frame{prefix: p, within: above.within, except: above.except}
		for ; i < len(members) && members[i].Prefix == p; i++ {
			if members[i].Except {
				f.except = with(f.except, members[i].Key)
			} else {
				f.within = with(f.within, members[i].Key)
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

// frame is a prefix with all that members say of it and of those that it lies in; the lists are sorted and shared.
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
