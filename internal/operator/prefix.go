package operator

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"

	"weftnet.io/weftnet/internal/settings"
)

// holder is a node and the prefixes it has.
type holder struct {
	name     string
	created  time.Time
	prefixes []netip.Prefix
}

// grant is what a node should have.
type grant struct {
	prefixes []netip.Prefix
	problem  string // why it lacks one; empty if it lacks none
}

// assign gives each node a prefix of each pool, and tells for every node what it should have.
//
// A node keeps what it has, in the pools or not: pods use it. The one exception is a prefix that overlaps one of an older
// node (or of one as old with a lower name): two nodes must not share an address, so the younger gets another. New
// prefixes are the first free ones of the pool; those that rest are taken last.
func assign(pools []settings.Pool, nodes []holder, resting map[netip.Prefix]bool) map[string]grant {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b holder) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name))
	})
	used := newUsage(nil)
	grants := map[string]grant{}
	for _, n := range nodes {
		var g grant
		for _, p := range n.prefixes {
			if used.overlap(p) == (netip.Prefix{}) {
				used.add(p)
				g.prefixes = append(g.prefixes, p)
			}
		}
		grants[n.name] = g
	}
	for _, n := range nodes {
		g := grants[n.name]
		var lacks []string
		for _, pool := range pools {
			if slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return inFamily(pool, p) }) || len(pool.Prefixes) == 0 {
				continue
			}
			p, ok := free(pool, used, resting)
			if !ok {
				lacks = append(lacks, exhausted(pool, used, n.name))
				continue
			}
			used.add(p)
			g.prefixes = append(g.prefixes, p)
		}
		g.problem = strings.Join(lacks, "; ")
		grants[n.name] = g
	}
	return grants
}

// wanted are the pools to give prefixes of. A family is left out that no key names and no node has, where nodes have prefixes:
// this is a cluster of the other family, whose nodes had theirs from elsewhere before key ipam said so or was taken away.
func wanted(pools []settings.Pool, nodes []holder) (out []settings.Pool) {
	var held []netip.Prefix
	for _, n := range nodes {
		held = append(held, n.prefixes...)
	}
	for _, pool := range pools {
		if pool.Said || len(held) == 0 || slices.ContainsFunc(held, func(p netip.Prefix) bool { return inFamily(pool, p) }) {
			out = append(out, pool)
		}
	}
	return out
}

func inFamily(pool settings.Pool, p netip.Prefix) bool {
	return len(pool.Prefixes) > 0 && pool.Prefixes[0].Addr().Is4() == p.Addr().Is4()
}

// exhausted says what is missing, for which node, and how much of the pool is taken.
func exhausted(pool settings.Pool, used *usage, node string) string {
	var text []string
	taken := 0
	for _, p := range pool.Prefixes {
		text = append(text, p.String())
		for _, u := range used.all {
			if p.Overlaps(u) {
				taken++
			}
		}
	}
	return fmt.Sprintf("no free /%d in %s for node %s (%d in use)", pool.NodeBits, strings.Join(text, ", "), node, taken)
}

// free finds the first part of a pool that overlaps nothing; if all of those rest, the first of them.
func free(pool settings.Pool, used *usage, resting map[netip.Prefix]bool) (netip.Prefix, bool) {
	var fallback netip.Prefix
	for _, whole := range pool.Prefixes {
		for at := whole.Addr(); at.IsValid() && whole.Contains(at); {
			p := netip.PrefixFrom(at, pool.NodeBits)
			taken := used.overlap(p)
			switch {
			case taken != netip.Prefix{}:
				if taken.Bits() < p.Bits() {
					p = taken // go on behind all of it
				}
			case !resting[p]:
				return p, true
			case !fallback.IsValid():
				fallback = p
			}
			at = netipx.PrefixLastIP(p).Next()
		}
	}
	return fallback, fallback.IsValid()
}

// usage is a set of prefixes of which no two overlap.
type usage struct {
	all   []netip.Prefix
	exact map[netip.Prefix]bool
	sizes map[int]bool // prefix lengths in the set
}

func newUsage(prefixes []netip.Prefix) *usage {
	u := &usage{exact: map[netip.Prefix]bool{}, sizes: map[int]bool{}}
	for _, p := range prefixes {
		u.add(p)
	}
	return u
}

func (u *usage) add(p netip.Prefix) {
	u.all = append(u.all, p)
	u.exact[p] = true
	u.sizes[p.Bits()] = true
}

// overlap is a member that overlaps p, the zero prefix if none does. It costs one look per prefix length in the set,
// unless there are longer ones than p.
func (u *usage) overlap(p netip.Prefix) netip.Prefix {
	longer := false
	for bits := range u.sizes {
		if bits > p.Bits() {
			longer = true
			continue
		}
		if wider, err := p.Addr().Prefix(bits); err == nil && u.exact[wider] {
			return wider
		}
	}
	if longer {
		for _, have := range u.all {
			if have.Bits() > p.Bits() && p.Overlaps(have) {
				return have
			}
		}
	}
	return netip.Prefix{}
}
