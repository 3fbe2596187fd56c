package ipam_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/ipam"
)

// naive does what a Pool does, with a list of everything that ever happened to every address.
type naive struct {
	rest     time.Duration
	prefixes []netip.Prefix
	owner    map[netip.Addr]string
	back     []netip.Addr // given back, oldest first
	at       map[netip.Addr]time.Time
	used     map[netip.Addr]bool
}

func usable(p netip.Prefix) (out []netip.Addr) {
	for a := p.Addr(); a.IsValid() && p.Contains(a); a = a.Next() {
		out = append(out, a)
	}
	if len(out) > 2 {
		out = out[2:]
		if p.Addr().Is4() {
			out = out[:len(out)-1]
		}
	}
	return out
}

func (n *naive) all() (out []netip.Addr) {
	for _, p := range n.prefixes {
		out = append(out, usable(p)...)
	}
	return out
}

func (n *naive) of(owner string) netip.Addr {
	for a, o := range n.owner {
		if o == owner {
			return a
		}
	}
	return netip.Addr{}
}

func (n *naive) rested(a netip.Addr, now time.Time) bool {
	return !slices.Contains(n.back, a) || now.Sub(n.at[a]) >= n.rest
}

func (n *naive) take(owner string, a netip.Addr) netip.Addr {
	n.owner[a], n.used[a] = owner, true
	n.back = slices.DeleteFunc(n.back, func(b netip.Addr) bool { return a == b })
	return a
}

func (n *naive) allocate(owner string, now time.Time) (netip.Addr, bool) {
	if a := n.of(owner); a.IsValid() {
		return a, true
	}
	for _, a := range n.all() {
		if !n.used[a] {
			return n.take(owner, a), true
		}
	}
	for _, a := range n.back {
		if n.rested(a, now) && slices.Contains(n.all(), a) {
			return n.take(owner, a), true
		}
	}
	return netip.Addr{}, false
}

func (n *naive) claim(owner string, a netip.Addr, now time.Time) bool {
	held := n.of(owner)
	if held == a {
		return true
	}
	if held.IsValid() || n.owner[a] != "" || !slices.Contains(n.all(), a) || !n.rested(a, now) {
		return false
	}
	n.take(owner, a)
	return true
}

func (n *naive) release(owner string, now time.Time) {
	if a := n.of(owner); a.IsValid() {
		delete(n.owner, a)
		n.back, n.at[a] = append(n.back, a), now
	}
}

var (
	someOwner   = rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("c%d/eth0", rapid.IntRange(0, 12).Draw(t, "owner")) })
	somePrefix  = rapid.SampledFrom([]string{"10.0.0.0/28", "10.0.1.0/29", "10.0.2.0/30", "10.0.3.0/31", "10.0.4.7/32", "255.255.255.248/29"})
	somePrefix6 = rapid.SampledFrom([]string{"fd00::/125", "fd00:1::/126", "fd00:2::/127", "fd00:3::9/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125"})
)

func drawPrefixes(t *rapid.T) (out []netip.Prefix) {
	from := somePrefix
	if rapid.Bool().Draw(t, "IPv6") {
		from = somePrefix6
	}
	for _, text := range rapid.SliceOfNDistinct(from, 1, 3, rapid.ID[string]).Draw(t, "prefixes") {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func TestPoolDoesWhatANaiveListWouldDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		rest := time.Duration(rapid.IntRange(0, 20).Draw(t, "rest")) * time.Second
		prefixes := drawPrefixes(t)
		p := ipam.New(rest, prefixes...)
		n := &naive{rest: rest, prefixes: prefixes, owner: map[netip.Addr]string{}, at: map[netip.Addr]time.Time{}, used: map[netip.Addr]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				owner := someOwner.Draw(t, "owner")
				free := p.Free(now) == nil
				had, holds := p.Held(owner)
				got, err := p.Allocate(owner, now)
				want, ok := n.allocate(owner, now)
				if got != want || (err == nil) != ok {
					t.Fatalf("%s got %v (%v), want %v", owner, got, err, want)
				}
				if holds && had != got {
					t.Fatalf("%s had %v and was given %v", owner, had, got)
				}
				if !holds && free != ok {
					t.Fatalf("Free says %v, Allocate %v", free, err)
				}
			},
			"claim": func(t *rapid.T) {
				owner, x := someOwner.Draw(t, "owner"), rapid.SampledFrom(prefixes).Draw(t, "prefix")
				a := x.Addr()
				for range rapid.IntRange(0, 17).Draw(t, "offset") {
					if a.Next().IsValid() {
						a = a.Next()
					}
				}
				err := p.Claim(owner, a, now)
				if ok := n.claim(owner, a, now); (err == nil) != ok {
					t.Fatalf("claim of %v by %s: %v, want %v", a, owner, err, ok)
				}
			},
			"release": func(t *rapid.T) {
				owner := someOwner.Draw(t, "owner")
				_, held := p.Held(owner)
				if _, ok := p.Release(owner, now); ok != held {
					t.Fatalf("release of %s: %v, but held: %v", owner, ok, held)
				}
				n.release(owner, now)
			},
			"time passes": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second) },
			"": func(t *rapid.T) {
				owners := p.Owners()
				if len(owners) != len(n.owner) {
					t.Fatalf("held by %v, want %v", owners, n.owner)
				}
				for _, o := range owners {
					if a, _ := p.Held(o); n.owner[a] != o {
						t.Fatalf("%s holds %v, want %v", o, a, n.owner)
					}
				}
			},
		})
	})
}

// A node whose prefixes come and go, whose agent restarts, and which forgets nothing it must remember.
func TestNoAddressHasTwoOwnersNorIsGivenOutBeforeItHasRested(t *testing.T) {
	const rest = 10 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		choice := drawPrefixes(t)
		p := ipam.New(rest, choice...)
		owner, at := map[netip.Addr]string{}, map[netip.Addr]time.Time{}
		take := func(t *rapid.T, o string, a netip.Addr) {
			if by := owner[a]; by != "" {
				t.Fatalf("%v belongs to %s and was given to %s", a, by, o)
			}
			if back, ok := at[a]; ok && now.Sub(back) < rest {
				t.Fatalf("%v was given out after %v", a, now.Sub(back))
			}
			if !slices.ContainsFunc(p.Prefixes(), func(x netip.Prefix) bool { return x.Contains(a) }) {
				t.Fatalf("%v is not of %v", a, p.Prefixes())
			}
			owner[a] = o
		}
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				o := someOwner.Draw(t, "owner")
				if _, has := p.Held(o); has {
					return
				}
				a, err := p.Allocate(o, now)
				if err != nil {
					return
				}
				take(t, o, a)
			},
			"release": func(t *rapid.T) {
				if a, ok := p.Release(someOwner.Draw(t, "owner"), now); ok {
					delete(owner, a)
					at[a] = now
				}
			},
			"other prefixes": func(t *rapid.T) {
				p.SetPrefixes(choice[:rapid.IntRange(0, len(choice)).Draw(t, "prefixes")]...)
			},
			"claim": func(t *rapid.T) {
				o, a := someOwner.Draw(t, "owner"), rapid.SampledFrom(usable(choice[0])).Draw(t, "address")
				if _, has := p.Held(o); has || p.Claim(o, a, now) != nil {
					return
				}
				take(t, o, a)
			},
			"restart": func(t *rapid.T) {
				again := ipam.New(rest, p.Prefixes()...)
				for a, o := range owner {
					if err := again.Restore(o, a); err != nil {
						t.Fatal(err)
					}
				}
				again.Rest(p.Marks(), now)
				p = again
			},
			"time passes": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second) },
		})
	})
}
