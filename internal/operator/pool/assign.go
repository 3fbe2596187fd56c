package pool

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/language/netobject"
)

// node is what of a CiliumNode counts here.
type node struct {
	name      string
	created   time.Time
	prefixes  []netip.Prefix // without a pool
	requested []v2.NodePoolRequest
	allocated []v2.NodePoolAllocation
}

// answer is what a node should have, and what it lacks in words.
type answer struct {
	allocated []v2.NodePoolAllocation
	problem   string
}

// assign gives each node what it needs.
func assign(pools map[string][]netobject.Part, nodes []node, resting []netip.Prefix) map[string]answer {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name)) })
	var used netipx.IPSetBuilder
	for _, n := range nodes {
		for _, p := range n.prefixes {
			used.AddPrefix(p)
		}
	}
	out := map[string]answer{}
	for _, n := range nodes {
		out[n.name] = answer{allocated: keep(n, &used)}
	}
	for _, n := range nodes {
		a := out[n.name]
		for _, q := range n.requested {
			for _, one := range []struct {
				six    bool
				needed int
			}{{false, q.Needed.IPv4Addrs}, {true, q.Needed.IPv6Addrs}} {
				why := a.fill(q.Pool, one.six, one.needed, pools, &used, resting)
				if why != "" && a.problem == "" {
					a.problem = why
				}
			}
		}
		slices.SortFunc(a.allocated, func(a, b v2.NodePoolAllocation) int { return cmp.Compare(a.Pool, b.Pool) })
		out[n.name] = a
	}
	return out
}

// keep is what a node has and needs, less what an older one has.
func keep(n node, used *netipx.IPSetBuilder) (out []v2.NodePoolAllocation) {
	for _, had := range n.allocated {
		if !slices.ContainsFunc(n.requested, func(q v2.NodePoolRequest) bool { return q.Pool == had.Pool }) {
			continue
		}
		kept := v2.NodePoolAllocation{Pool: had.Pool}
		for _, text := range had.CIDRs {
			p, err := netip.ParsePrefix(text)
			set, err2 := used.IPSet()
			if err != nil || err2 != nil || set.OverlapsPrefix(p.Masked()) {
				continue
			}
			used.AddPrefix(p.Masked())
			kept.CIDRs = append(kept.CIDRs, p.Masked().String())
		}
		out = append(out, kept)
	}
	return out
}

// fill adds parts of a pool until there is an address for each that needs one, and says what is missing if there is none.
func (a *answer) fill(name string, six bool, needed int, pools map[string][]netobject.Part, used *netipx.IPSetBuilder, resting []netip.Prefix) string {
	family := map[bool]string{false: "IPv4", true: "IPv6"}[six]
	for needed > a.room(name, six) {
		parts, there := pools[name]
		at := slices.IndexFunc(parts, func(p netobject.Part) bool { return p.IPv6 == six && len(p.CIDRs) > 0 })
		switch {
		case !there:
			return fmt.Sprintf("pods ask for pool %s, and there is no CiliumPodIPPool of that name", name)
		case at < 0:
			return fmt.Sprintf("pods ask for pool %s, which has no %s addresses", name, family)
		}
		p, ok := free(parts[at], used, resting)
		if !ok {
			return fmt.Sprintf("pool %s has no free /%d in %v", name, parts[at].Bits, parts[at].CIDRs)
		}
		used.AddPrefix(p)
		a.add(name, p)
	}
	return ""
}

func (a *answer) add(name string, p netip.Prefix) {
	i := slices.IndexFunc(a.allocated, func(x v2.NodePoolAllocation) bool { return x.Pool == name })
	if i < 0 {
		i = len(a.allocated)
		a.allocated = append(a.allocated, v2.NodePoolAllocation{Pool: name})
	}
	a.allocated[i].CIDRs = append(a.allocated[i].CIDRs, p.String())
}

// room is how many pods can have an address of what is allocated (package ipam keeps some back).
func (a *answer) room(name string, six bool) (n int) {
	for _, x := range a.allocated {
		for _, text := range x.CIDRs {
			p, err := netip.ParsePrefix(text)
			if err != nil || x.Pool != name || p.Addr().Is6() != six {
				continue
			}
			switch host := p.Addr().BitLen() - p.Bits(); {
			case host < 2:
				n += 1 << host
			case six:
				n += 1<<min(host, 24) - 2
			default:
				n += 1<<min(host, 24) - 3
			}
		}
	}
	return n
}

// free is the first part of a pool that none has; if all of those rest, one that does.
func free(of netobject.Part, used *netipx.IPSetBuilder, resting []netip.Prefix) (netip.Prefix, bool) {
	taken, err := used.IPSet()
	if err != nil {
		return netip.Prefix{}, false
	}
	for _, without := range [][]netip.Prefix{resting, nil} {
		for _, whole := range of.CIDRs {
			var b netipx.IPSetBuilder
			b.AddPrefix(whole)
			b.RemoveSet(taken)
			for _, p := range without {
				b.RemovePrefix(p)
			}
			set, err := b.IPSet()
			if err != nil {
				continue
			}
			for _, r := range set.Ranges() {
				if p, ok := first(r, of.Bits); ok {
					return p, true
				}
			}
		}
	}
	return netip.Prefix{}, false
}

// first is the first prefix of a length within a range.
func first(r netipx.IPRange, bits int) (netip.Prefix, bool) {
	p := netip.PrefixFrom(r.From(), bits).Masked()
	if p.Addr() != r.From() { // it begins before
		next := netipx.PrefixLastIP(p).Next()
		if !next.IsValid() {
			return p, false
		}
		p = netip.PrefixFrom(next, bits)
	}
	return p, r.Contains(p.Addr()) && r.Contains(netipx.PrefixLastIP(p))
}
