package bpfmap

import (
	"maps"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

var some = func() (out []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.3.0/24", "10.128.0.0/9", "::/0", "fd00::/8", "fd00:1::/32", "fd00:1::1/128",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

var genRanges = rapid.Custom(func(t *rapid.T) []policy.Range {
	blocks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policy.Block {
		list := rapid.SliceOfN(rapid.SampledFrom(some), 0, 3)
		return policy.NewBlock(list.Draw(t, "within"), list.Draw(t, "except"))
	}), 0, 3).Draw(t, "blocks")
	for i := range blocks {
		blocks[i].Name = string(rune('a' + i)) // of groups, which keep their names
	}
	rule := policy.Rule{Subject: identity.NewSelector(), Ingress: []policy.Term{{Blocks: blocks, Ports: []policy.Port{policy.AnyPort}}}}
	return policy.Compile([]policy.Rule{rule}, policy.Subject{}, policy.Options{}).Ranges()
})

// kernels is what the map answers: the longest prefix, IPv4 inside IPv6.
func kernels(ranges map[netip.Prefix]policy.Range, a netip.Addr) (class uint32) {
	best := -1
	for _, r := range ranges {
		key := rangeKey(0, r)
		bits := int(key.Bits) - int(rangeKey(0, policy.Range{Prefix: some[7]}).Bits)
		if mapped := netip.AddrFrom16(a.As16()); bits > best && netip.PrefixFrom(netip.AddrFrom16(key.Addr), bits).Masked() == netip.PrefixFrom(mapped, bits).Masked() {
			best, class = bits, uint32(r.Class)
		}
	}
	return class
}

func TestAnAddressFindsItsOldClassOrItsNewOneWhileRangesChange(t *testing.T) {
	addresses := []netip.Addr{}
	for _, p := range some {
		addresses = append(addresses, p.Addr(), p.Addr().Next())
	}
	addresses = append(addresses, netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("10.200.0.1"), netip.MustParseAddr("fd00:2::1"))
	rapid.Check(t, func(t *rapid.T) {
		have, want := genRanges.Draw(t, "have"), genRanges.Draw(t, "want")
		at := map[netip.Prefix]policy.Range{}
		for _, r := range have {
			if r.Place == policy.Outside {
				at[r.Prefix] = r
			}
		}
		goal := map[netip.Prefix]policy.Range{}
		for _, r := range want {
			goal[r.Prefix] = r
		}
		old, now := map[netip.Addr]uint32{}, map[netip.Addr]uint32{}
		for _, a := range addresses {
			old[a], now[a] = kernels(at, a), kernels(goal, a)
			if class := uint32(policy.ClassOf(want, policy.Outside, a)); class != now[a] {
				t.Fatalf("%s: the trie has IPv4 inside IPv6, and says %d where %d is meant: %v", a, now[a], class, want)
			}
		}
		turned := map[netip.Addr]bool{}
		look := func() {
			for _, a := range addresses {
				class := kernels(at, a)
				if class != old[a] && class != now[a] || turned[a] && class != now[a] {
					t.Fatalf("%s is in class %d on the way from %d to %d\nhave %v\nwant %v", a, class, old[a], now[a], have, want)
				}
				turned[a] = turned[a] || class != old[a]
			}
		}
		put, gone := rangeSteps(have, want)
		for _, r := range put {
			at[r.Prefix] = r
			look()
		}
		for _, r := range gone {
			delete(at, r.Prefix)
			look()
		}
		if !maps.Equal(at, goal) {
			t.Fatalf("have %v, want %v", at, goal)
		}
	})
}

func TestASetThatIsTooLargeIsRefusedAndSaysWhatToDo(t *testing.T) {
	row := table.PolicySet{Identity: 300, Entries: make([]policy.Entry, 25), Ranges: make([]policy.Range, 25)}
	if err := fits(row, 100, 100); err != nil {
		t.Errorf("a quarter is refused: %v", err)
	}
	for size, want := range map[[2]uint32]string{
		{96, 100}: "the policies of identity 300 make 25 entries, more than the 24 that one set may have of map policies: " +
			"let its policies choose fewer peers or ports, or raise bpf-map-dynamic-size-ratio",
		{100, 96}: "the policies of identity 300 make 25 ranges of addresses, more than the 24 that one set may have of map ranges: " +
			"let its policies name fewer prefixes, or raise bpf-map-dynamic-size-ratio",
	} {
		if err := fits(row, size[0], size[1]); err == nil || err.Error() != want {
			t.Errorf("%v entries: %v, want %s", size, err, want)
		}
	}
}

// A first peer is written as a new generation: programs do not look for one in the generation before.
func TestAGenerationSaysThatItNamesNoPeer(t *testing.T) {
	all := policy.Entry{Direction: policy.Ingress, Verdict: policy.Allow, Match: policy.MatchAll}
	one := all
	one.Peer = 300
	for _, test := range []struct {
		entries []policy.Entry
		says    bool
	}{{nil, true}, {[]policy.Entry{all}, true}, {[]policy.Entry{all, one}, false}} {
		if got := named(7, table.PolicySet{Entries: test.entries})&abi.SetNamesNoPeer != 0; got != test.says {
			t.Errorf("a generation of %v says that it names no peer: %t", test.entries, got)
		}
	}
}
