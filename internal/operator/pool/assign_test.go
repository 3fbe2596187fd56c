package pool

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/language/netobject"
)

func parts(bits int, cidrs ...string) (list []netobject.Part) {
	p := netobject.Part{Bits: bits}
	for _, c := range cidrs {
		p.CIDRs = append(p.CIDRs, netip.MustParsePrefix(c))
	}
	p.IPv6 = p.CIDRs[0].Addr().Is6()
	return []netobject.Part{p}
}

func needs(pool string, four, six int) v2.NodePoolRequest {
	return v2.NodePoolRequest{Pool: pool, Needed: v2.NodePoolDemand{IPv4Addrs: four, IPv6Addrs: six}}
}

func has(pool string, cidrs ...string) v2.NodePoolAllocation {
	return v2.NodePoolAllocation{Pool: pool, CIDRs: cidrs}
}

func TestNodesGetWhatTheyNeedOfPools(t *testing.T) {
	pools := map[string][]netobject.Part{
		"blue":  append(parts(30, "10.20.0.0/28"), parts(126, "fd00:20::/124")...),
		"small": parts(32, "10.30.0.0/31"),
	}
	old, young := time.Unix(0, 0), time.Unix(1, 0)
	for _, c := range []struct {
		what    string
		nodes   []node
		resting []netip.Prefix
		want    string
	}{
		{"one address", []node{{name: "a", requested: []v2.NodePoolRequest{needs("blue", 1, 0)}}}, nil, "a: blue 10.20.0.0/30"},
		{"both families", []node{{name: "a", requested: []v2.NodePoolRequest{needs("blue", 1, 2)}}}, nil, "a: blue 10.20.0.0/30 fd00:20::/126"},
		{"more than a part", []node{{name: "a", requested: []v2.NodePoolRequest{needs("blue", 2, 0)}}}, nil, "a: blue 10.20.0.0/30 10.20.0.4/30"},
		{"more than there is", []node{{name: "a", requested: []v2.NodePoolRequest{needs("small", 3, 0)}}}, nil, "a: small 10.30.0.0/32 10.30.0.1/32 (pool small has no free /32 in [10.30.0.0/31])"},
		{"none of that name", []node{{name: "a", requested: []v2.NodePoolRequest{needs("red", 1, 0)}}}, nil, "a: (pods ask for pool red, and there is no CiliumPodIPPool of that name)"},
		{"none of that family", []node{{name: "a", requested: []v2.NodePoolRequest{needs("small", 0, 1)}}}, nil, "a: (pods ask for pool small, which has no IPv6 addresses)"},
		{"needed no more", []node{{name: "a", allocated: []v2.NodePoolAllocation{has("blue", "10.20.0.0/30")}}}, nil, "a:"},
		{"of a pool that is gone", []node{{name: "a", requested: []v2.NodePoolRequest{needs("red", 1, 0)}, allocated: []v2.NodePoolAllocation{has("red", "10.40.0.0/30")}}}, nil, "a: red 10.40.0.0/30"},
		{"what a node has without a pool is no other's", []node{
			{name: "a", requested: []v2.NodePoolRequest{needs("blue", 1, 0)}}, {name: "b", prefixes: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/29")}},
		}, nil, "a: blue 10.20.0.8/30; b:"},
		{"what rests comes last", []node{{name: "a", requested: []v2.NodePoolRequest{needs("blue", 1, 0)}}}, []netip.Prefix{netip.MustParsePrefix("10.20.0.0/30")}, "a: blue 10.20.0.4/30"},
		{"of two that have one the older keeps it", []node{
			{name: "a", created: young, requested: []v2.NodePoolRequest{needs("blue", 1, 0)}, allocated: []v2.NodePoolAllocation{has("blue", "10.20.0.0/30")}},
			{name: "b", created: old, requested: []v2.NodePoolRequest{needs("blue", 1, 0)}, allocated: []v2.NodePoolAllocation{has("blue", "10.20.0.0/30")}},
		}, nil, "a: blue 10.20.0.4/30; b: blue 10.20.0.0/30"},
	} {
		answers := assign(pools, c.nodes, c.resting)
		var list []string
		for _, n := range c.nodes {
			text := n.name + ":"
			for _, x := range answers[n.name].allocated {
				text += strings.TrimRight(" "+x.Pool+" "+strings.Join(x.CIDRs, " "), " ")
			}
			if p := answers[n.name].problem; p != "" {
				text += " (" + p + ")"
			}
			list = append(list, text)
		}
		if got := strings.Join(list, "; "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}

// Whatever nodes need and have: none shares an address with another, each has room for what it needs or is told why not, and a second look changes nothing.
func TestNoTwoNodesShareAnAddressOfPools(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := map[string][]netobject.Part{"blue": parts(29, "10.20.0.0/26", "10.21.0.0/28"), "red": parts(31, "10.20.0.32/27")} // which overlap
		var nodes []node
		for i := range rapid.IntRange(1, 5).Draw(t, "nodes") {
			n := node{name: fmt.Sprint("n", i), created: time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "created")), 0)}
			for _, name := range []string{"blue", "red"} {
				if k := rapid.IntRange(0, 12).Draw(t, "needed"); k > 0 {
					n.requested = append(n.requested, needs(name, k, 0))
				}
				if at := rapid.IntRange(0, 12).Draw(t, "has"); at < 8 {
					n.allocated = append(n.allocated, has(name, fmt.Sprintf("10.20.0.%d/29", at*8)))
				}
			}
			nodes = append(nodes, n)
		}
		answers := assign(pools, nodes, nil)
		var all []netip.Prefix
		for i, n := range nodes {
			a := answers[n.name]
			for _, x := range a.allocated {
				for _, text := range x.CIDRs {
					p := netip.MustParsePrefix(text)
					for _, other := range all {
						if p.Overlaps(other) {
							t.Fatalf("%s and %s: %+v", p, other, answers)
						}
					}
					all = append(all, p)
				}
			}
			for _, q := range n.requested {
				if a.room(q.Pool, false) < q.Needed.IPv4Addrs && a.problem == "" {
					t.Fatalf("%s lacks addresses of %s, and is not told: %+v", n.name, q.Pool, a)
				}
			}
			nodes[i].allocated = a.allocated
		}
		for name, again := range assign(pools, nodes, nil) {
			if !same(again.allocated, answers[name].allocated) {
				t.Fatalf("%s: a second look changes %+v to %+v", name, answers[name].allocated, again.allocated)
			}
		}
	})
}
