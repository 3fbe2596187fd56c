package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy/partition"
)

// Range says which class the addresses of a prefix are in, at a place, as far as no longer prefix there says more. To a
// set's blocks, all addresses of a class are the same. There are entries for classes beside those for identities.
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

// Ranges are the classes of addresses of the subject: which addresses the blocks of its rules tell apart. They are
// sorted, and no range says what a shorter one says already. A class keeps its number when the prefixes of a block change,
// so that a group of a thousand prefixes that gets one more costs one range and no entry.
func (c *Compiled) Ranges() []Range { return c.classes.ranges }

// classes are sets of blocks, and of kinds of workloads: all those that choose some address.
type classes struct {
	ranges  []Range
	members map[identity.Number]map[string]bool // class -> keys of what chooses it
	blocks  map[string]Block                    // by key
}

// blocksOf are those of the rules that select a subject, by key.
func blocksOf(rules []Rule, subject Subject, options Options) map[string]Block {
	blocks := map[string]Block{}
	if options.Enforcement == EnforceNever {
		return blocks
	}
	for _, r := range rules {
		for _, t := range r.Terms() {
			if len(t.Blocks) > 0 && !t.AnyPeer && r.Subject.Matches(subject.Labels) {
				for _, b := range t.Blocks {
					b = b.under(options)
					blocks[b.String()] = b
				}
			}
		}
	}
	return blocks
}

// divide divides addresses by blocks, and those of pods as well.
func divide(blocks map[string]Block, pods []partition.Member) classes {
	out := classes{members: map[identity.Number]map[string]bool{}, blocks: blocks}
	if len(blocks)+len(pods) == 0 {
		return out
	}
	type spot struct {
		place Place
		partition.Part
	}
	var spots []spot
	var texts []string
	for _, place := range places {
		for _, six := range [...]bool{false, true} {
			list := members(blocks, place, six)
			for _, m := range pods {
				if place == Pod && m.Prefix.Addr().Is6() == six {
					list = append(list, m)
				}
			}
			for _, part := range partition.Of(list) {
				spots = append(spots, spot{place, part})
				if part.Keys != "" {
					texts = append(texts, part.Keys)
				}
			}
		}
	}
	numbers := map[string]identity.Number{}
	for text, n := range partition.Numbers(texts) {
		class := ClassScope | identity.Number(n)
		numbers[text] = class
		out.members[class] = map[string]bool{}
		for key := range strings.SplitSeq(text, "\n") {
			out.members[class][key] = true
		}
	}
	for _, s := range spots {
		out.ranges = append(out.ranges, Range{Place: s.place, Prefix: s.Prefix, Class: numbers[s.Keys]})
	}
	out.ranges = guard(out.ranges)
	slices.SortFunc(out.ranges, Range.Compare)
	return out
}

// marks is what blocks say at a place, in one family.
func members(blocks map[string]Block, place Place, six bool) (out []partition.Member) {
	for key, b := range blocks {
		if !b.isAbout(place) {
			continue
		}
		for except, list := range map[bool][]netip.Prefix{false: b.Within, true: b.Except} {
			for _, p := range list {
				if p.Addr().Is6() == six {
					out = append(out, partition.Member{Prefix: p, Key: key, Except: except})
				}
			}
		}
	}
	return out
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
