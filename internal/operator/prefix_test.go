package operator

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/settings"
)

func poolOf(bits int, prefixes ...string) settings.Pool {
	p := settings.Pool{NodeBits: bits}
	for _, text := range prefixes {
		p.Prefixes = append(p.Prefixes, netip.MustParsePrefix(text))
	}
	return p
}

func node(name string, age int, prefixes ...string) holder {
	return holder{name, time.Unix(int64(1000-age), 0), poolOf(0, prefixes...).Prefixes}
}

func TestPrefixesAreAssigned(t *testing.T) {
	v4, v6 := poolOf(24, "10.244.0.0/22"), poolOf(64, "fd00:244::/62")
	for name, c := range map[string]struct {
		pools   []settings.Pool
		nodes   []holder
		resting []string
		want    map[string]string
	}{
		"each node gets one of each pool, the first free": {
			[]settings.Pool{v4, v6},
			[]holder{node("b", 1), node("a", 1), node("c", 9, "10.244.1.0/24", "fd00:244::/64")},
			nil,
			map[string]string{
				"a": "[10.244.0.0/24 fd00:244:0:1::/64]", "b": "[10.244.2.0/24 fd00:244:0:2::/64]", "c": "[10.244.1.0/24 fd00:244::/64]",
			},
		},
		"the younger of two that share a prefix gets another": {
			[]settings.Pool{v4},
			[]holder{node("young", 1, "10.244.1.0/24"), node("old", 2, "10.244.1.0/24")},
			nil,
			map[string]string{"old": "[10.244.1.0/24]", "young": "[10.244.0.0/24]"},
		},
		"of two as old the lower name keeps it, also if it is part of the other's": {
			[]settings.Pool{v4},
			[]holder{node("b", 1, "10.244.0.0/23"), node("a", 1, "10.244.1.0/25")},
			nil,
			map[string]string{"a": "[10.244.1.0/25]", "b": "[10.244.0.0/24]"},
		},
		"a prefix outside the pools stays, since pods use it": {
			[]settings.Pool{v4}, []holder{node("a", 1, "192.168.5.0/24")}, nil, map[string]string{"a": "[192.168.5.0/24]"},
		},
		"what rests is taken last": {
			[]settings.Pool{v4},
			[]holder{node("a", 1), node("b", 1), node("c", 1), node("d", 1)},
			[]string{"10.244.0.0/24", "10.244.1.0/24"},
			map[string]string{"a": "[10.244.2.0/24]", "b": "[10.244.3.0/24]", "c": "[10.244.0.0/24]", "d": "[10.244.1.0/24]"},
		},
		"a full pool says so, and what else there is is given": {
			[]settings.Pool{poolOf(24, "10.244.0.0/24"), v6},
			[]holder{node("n1", 1, "10.244.0.0/24", "fd00:244::/64"), node("n7", 1)},
			nil,
			map[string]string{
				"n1": "[10.244.0.0/24 fd00:244::/64]",
				"n7": "[fd00:244:0:1::/64] no free /24 in 10.244.0.0/24 for node n7 (1 in use)",
			},
		},
		"the second prefix of a pool comes when the first is full": {
			[]settings.Pool{poolOf(24, "10.1.0.0/24", "10.2.0.0/24")},
			[]holder{node("a", 2), node("b", 1)},
			nil,
			map[string]string{"a": "[10.1.0.0/24]", "b": "[10.2.0.0/24]"},
		},
		"a node of a cluster with one family keeps what it has of the other": {
			[]settings.Pool{v4}, []holder{node("a", 1, "fd00::/64")}, nil, map[string]string{"a": "[fd00::/64 10.244.0.0/24]"},
		},
		"the last prefix of all addresses ends the search": {
			[]settings.Pool{poolOf(24, "255.255.255.0/24")},
			[]holder{node("a", 2), node("b", 1)},
			nil,
			map[string]string{"a": "[255.255.255.0/24]", "b": "[] no free /24 in 255.255.255.0/24 for node b (1 in use)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			resting := map[netip.Prefix]bool{}
			for _, p := range poolOf(0, c.resting...).Prefixes {
				resting[p] = true
			}
			have := map[string]string{}
			for name, g := range assign(c.pools, c.nodes, resting) {
				have[name] = fmt.Sprint(g.prefixes)
				if g.problem != "" {
					have[name] += " " + g.problem
				}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("grants (-want +have):\n%s", diff)
			}
		})
	}
}

func TestAFamilyThatNoKeyNamesIsGivenWhereNodesHaveItOrNoneHasAnything(t *testing.T) {
	v4, v6 := poolOf(24, "10.0.0.0/8"), poolOf(120, "fd00::/104")
	said := v6
	said.Said = true
	for name, c := range map[string]struct {
		pools, want []settings.Pool
		nodes       []holder
	}{
		"a new cluster": {[]settings.Pool{v4, v6}, []settings.Pool{v4, v6}, []holder{node("a", 1)}},
		"a cluster of IPv4, and a node that joins": {[]settings.Pool{v4, v6}, []settings.Pool{v4}, []holder{node("a", 2, "10.244.0.0/24"), node("b", 1)}},
		"the same, once a key names IPv6":          {[]settings.Pool{v4, said}, []settings.Pool{v4, said}, []holder{node("a", 2, "10.244.0.0/24")}},
		"a cluster of both":                        {[]settings.Pool{v4, v6}, []settings.Pool{v4, v6}, []holder{node("a", 2, "10.244.0.0/24", "fd00::/120"), node("b", 1)}},
	} {
		if diff := cmp.Diff(c.want, wanted(c.pools, c.nodes), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
}

func TestNoTwoNodesEverShareAnAddressAndNoNodeLosesItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := []settings.Pool{poolOf(28, "10.0.0.0/24", "10.0.2.0/26"), poolOf(120, "fd00::/116")}
		var nodes []holder
		for i := range rapid.IntRange(1, 30).Draw(t, "nodes") {
			n := node(fmt.Sprint("n", i), rapid.IntRange(0, 3).Draw(t, "age"))
			for range rapid.IntRange(0, 2).Draw(t, "prefixes") {
				bits := rapid.SampledFrom([]int{26, 28, 28, 30}).Draw(t, "bits")
				a := netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 3).Draw(t, "third")), byte(rapid.IntRange(0, 255).Draw(t, "fourth"))})
				n.prefixes = append(n.prefixes, netip.PrefixFrom(a, bits).Masked())
			}
			nodes = append(nodes, n)
		}
		grants := assign(pools, nodes, nil)
		var all []netip.Prefix
		for _, n := range nodes {
			g := grants[n.name]
			for _, p := range g.prefixes {
				if slices.ContainsFunc(all, p.Overlaps) {
					t.Fatalf("%s of %s overlaps another node's", p, n.name)
				}
			}
			all = append(all, g.prefixes...)
		}
		again := slices.Clone(nodes)
		for i := range again {
			again[i].prefixes = grants[again[i].name].prefixes
		}
		slices.Reverse(again)
		for name, g := range assign(pools, again, nil) {
			if !slices.Equal(g.prefixes, grants[name].prefixes) {
				t.Fatalf("%s had %v and gets %v: a restart changes what nodes have", name, grants[name].prefixes, g.prefixes)
			}
		}
	})
}

func TestASearchInAVastPoolEnds(t *testing.T) {
	grants := assign([]settings.Pool{poolOf(120, "fd00::/8")}, []holder{node("a", 2, "fd00::/16"), node("b", 1)}, nil)
	if p := grants["b"].prefixes; len(p) != 1 || p[0].String() != "fd01::/120" {
		t.Errorf("b gets %v, want the first prefix behind fd00::/16", p)
	}
}
