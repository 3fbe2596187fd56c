package policy

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
)

// Range says which class the addresses of a prefix are in, at a place, as far as no longer prefix there says more. To a
// set's blocks, all addresses of a class are the same. Entries has entries for classes beside those for identities.
type Range struct {
	Place  Place
	Prefix netip.Prefix
	Class  identity.Number // of scope 0x01, with a meaning inside the set only; 0: no block chooses them
}

// Compare orders ranges by place and prefix.
func (r Range) Compare(s Range) int {
	return cmp.Or(cmp.Compare(r.Place, s.Place), r.Prefix.Compare(s.Prefix))
}

// String is e.g. "outside 10.0.0.0/8 as 16777217".
func (r Range) String() string { return fmt.Sprintf("%s %s as %d", r.Place, r.Prefix, r.Class) }

// ClassScope is the scope of the numbers of classes: the highest byte, which no identity of the cluster has.
const ClassScope identity.Number = 0x01 << 24

// Ranges computes the classes of addresses of one subject: which addresses the blocks of its rules tell apart. They are
// sorted, and no range says what a shorter one says already. A class keeps its number when the prefixes of a block change,
// so that a group of a thousand prefixes that gets one more costs one range and no entry.
func Ranges(rules []Rule, subject Subject, options Options) []Range {
	return classesOf(rules, subject, options).ranges
}

// classes are sets of blocks: all those that choose some address.
type classes struct {
	ranges  []Range
	members map[identity.Number]map[string]bool // class -> keys of its blocks
}

func classesOf(rules []Rule, subject Subject, options Options) classes {
	out := classes{members: map[identity.Number]map[string]bool{}}
	if options.Enforcement == EnforceNever {
		return out
	}
	blocks := map[string]Block{}
	for _, r := range rules {
		for _, terms := range [4][]Term{r.Ingress, r.IngressDeny, r.Egress, r.EgressDeny} {
			for _, t := range terms {
				if len(t.Blocks) > 0 && !t.AnyPeer && r.Subject.Matches(subject.Labels) {
					for _, b := range t.Blocks {
						b = b.under(options)
						blocks[b.String()] = b
					}
				}
			}
		}
	}
	if len(blocks) == 0 {
		return out
	}
	found := map[string]bool{}
	var all []spot
	for _, place := range places {
		for _, six := range [...]bool{false, true} {
			all = walk(blocks, place, six, all)
		}
	}
	for _, s := range all {
		found[s.text] = true
	}
	delete(found, "")
	numbers := numberClasses(found)
	for text, n := range numbers {
		out.members[n] = map[string]bool{}
		for key := range strings.SplitSeq(text, "\n") {
			out.members[n][key] = true
		}
	}
	for _, s := range all {
		out.ranges = append(out.ranges, Range{Place: s.place, Prefix: s.prefix, Class: numbers[s.text]})
	}
	out.ranges = guard(out.ranges)
	slices.SortFunc(out.ranges, Range.Compare)
	return out
}

// spot is a range whose class has no number yet.
type spot struct {
	place  Place
	prefix netip.Prefix
	text   string // sorted keys of the blocks that choose it, a line each; empty: none
}

// walk appends what blocks tell apart at a place, in one family: their prefixes in order, each after those it lies in.
func walk(blocks map[string]Block, place Place, six bool, out []spot) []spot {
	marks := map[netip.Prefix][]mark{}
	for key, b := range blocks {
		if !b.isAbout(place) {
			continue
		}
		for _, p := range b.Within {
			if p.Addr().Is6() == six {
				marks[p] = append(marks[p], mark{key, false})
			}
		}
		for _, p := range b.Except {
			if p.Addr().Is6() == six {
				marks[p] = append(marks[p], mark{key, true})
			}
		}
	}
	prefixes := make([]netip.Prefix, 0, len(marks))
	for p := range marks {
		prefixes = append(prefixes, p)
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var over []frame // prefixes that the present one lies in, the longest last
	for _, p := range prefixes {
		for len(over) > 0 && !over[len(over)-1].prefix.Contains(p.Addr()) {
			over = over[:len(over)-1]
		}
		var above frame
		if len(over) > 0 {
			above = over[len(over)-1]
		}
		f := frame{prefix: p, within: above.within, except: above.except}
		for _, m := range marks[p] {
			if m.except {
				f.except = with(f.except, m.key)
			} else {
				f.within = with(f.within, m.key)
			}
		}
		f.text = f.chosen()
		if f.text != above.text {
			out = append(out, spot{place, p, f.text})
		}
		over = append(over, f)
	}
	return out
}

// mark is what a block says of a prefix.
type mark struct {
	key    string
	except bool
}

// frame is a prefix with all that blocks say of it and of those that it lies in; the lists are sorted and shared.
type frame struct {
	prefix         netip.Prefix
	within, except []string
	text           string
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

// guard keeps IPv6 prefixes from IPv4 addresses: the kernel has both in one trie, IPv4 at ::ffff:0:0/96.
func guard(ranges []Range) []Range {
	all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	for _, place := range places {
		here := func(six bool) bool {
			return slices.ContainsFunc(ranges, func(r Range) bool {
				return r.Place == place && (six && r.Prefix.Addr().Is6() || !six && r.Prefix == all)
			})
		}
		if here(true) && !here(false) {
			ranges = append(ranges, Range{Place: place, Prefix: all})
		}
	}
	return ranges
}

// numberClasses gives each class a number that depends on it alone, but for two that want the same one.
func numberClasses(texts map[string]bool) map[string]identity.Number {
	list := make([]string, 0, len(texts))
	for text := range texts {
		list = append(list, text)
	}
	slices.Sort(list)
	numbers := make(map[string]identity.Number, len(list))
	taken := map[uint32]bool{0: true}
	for _, text := range list {
		h := fnv.New32a()
		_, _ = h.Write([]byte(text))
		n := (h.Sum32()>>24 ^ h.Sum32()) & 0xffffff
		for taken[n] {
			n = (n + 1) & 0xffffff
		}
		taken[n] = true
		numbers[text] = ClassScope | identity.Number(n)
	}
	return numbers
}
