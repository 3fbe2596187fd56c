package network

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"weftnet.io/weftnet/internal/ipam/whereabouts"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/lint"
)

// book is what a definition says of addresses.
type book struct {
	subnets  []netip.Prefix
	excludes []netip.Prefix // of ranges
	gateways []netip.Addr
	granted  bool // the agent gives them: what makes no sense is refused
}

// written is what types of ipam say of ranges.
type written struct {
	IPAM struct {
		Subnet  string   `json:"subnet"` // host-local
		Exclude []string `json:"exclude"`
		Ranges  [][]struct {
			Subnet string `json:"subnet"`
		} `json:"ranges"`
		IPRanges []struct {
			Exclude []string `json:"exclude"`
		} `json:"ipRanges"`
	} `json:"ipam"`
}

// bookOf reads that of a definition. What cannot be read says nothing: other checks tell of it.
func bookOf(d *definition) (b book) {
	if d.subnets != nil { // of its overlay network, of which its own ranges are a part
		defer func() { b.subnets = slices.Clone(d.subnets) }()
	}
	add := func(list *[]netip.Prefix, texts ...string) {
		for _, text := range texts {
			if p, err := netip.ParsePrefix(text); err == nil {
				*list = append(*list, p.Masked())
			}
		}
	}
	for _, p := range d.Plugins {
		for _, a := range p.IPAM.Addresses {
			b.subnets = append(b.subnets, a.Prefix.Masked())
			if a.Gateway.IsValid() {
				b.gateways = append(b.gateways, a.Gateway)
			}
		}
	}
	if d.Main() == nil {
		return b
	}
	var w written
	_ = json.Unmarshal(d.Main().Raw, &w)
	if d.Granted() {
		b.granted = true
		r, _ := whereabouts.Parse(d.Main().Raw, nil)
		for _, one := range r.Of {
			b.subnets = append(b.subnets, one.Subnet)
		}
		if r.Gateway.IsValid() {
			b.gateways = append(b.gateways, r.Gateway)
		}
		add(&b.excludes, w.IPAM.Exclude...)
		for _, one := range w.IPAM.IPRanges {
			add(&b.excludes, one.Exclude...)
		}
		return b
	}
	add(&b.subnets, w.IPAM.Subnet)
	for _, set := range w.IPAM.Ranges {
		for _, one := range set {
			add(&b.subnets, one.Subnet)
		}
	}
	return b
}

// subnets are those that a definition's addresses lie in.
func subnets(d *definition) []netip.Prefix { return bookOf(d).subnets }

// addresses looks at addresses that a workload asks for in a network that has others.
func (c *checker) addresses(w *workload) {
	for _, a := range w.asks {
		d := c.definitions[a.title()]
		if d == nil {
			continue
		}
		b := bookOf(d)
		for _, p := range a.Addresses {
			c.asked(w, a, b, p)
		}
	}
}

// asked looks at one of them.
func (c *checker) asked(w *workload, a ask, b book, p netip.Prefix) {
	x := p.Addr().Unmap()
	of := slices.DeleteFunc(slices.Clone(b.subnets), func(s netip.Prefix) bool { return s.Addr().Is4() != x.Is4() })
	in := func(s netip.Prefix) bool { return s.Contains(x) }
	at := slices.IndexFunc(of, in)
	subnet := p.Masked()
	if at >= 0 && (p.IsSingleIP() || b.granted) {
		subnet = of[at]
	}
	worse := lint.Warning // the plugin may take it
	if b.granted {
		worse = lint.Error
	}
	switch {
	case subnet.Bits() < x.BitLen()-1 && x == subnet.Addr():
		c.add(w.in, lint.Error, "address", a.at, fmt.Sprintf("%s asks for %s, the subnet's own address, which no NIC can have", a.title(), netip.PrefixFrom(x, subnet.Bits())), "", "")
	case x.Is4() && subnet.Bits() < 31 && x == netipx.PrefixLastIP(subnet):
		c.add(w.in, lint.Error, "address", a.at, fmt.Sprintf("%s asks for %s, the last address of %s: packets to it are for all (broadcast)", a.title(), x, subnet), "", "")
	case len(of) > 0 && at < 0:
		c.add(w.in, worse, "address", a.at, fmt.Sprintf("%s asks for %s, which is not in the network's subnet %s", a.title(), x, of[0]), "", "")
	case b.granted && at < 0:
		c.add(w.in, worse, "address", a.at, fmt.Sprintf("%s asks for %s, and the network has no subnet of that family", a.title(), x), "", "")
	case slices.Contains(b.gateways, x):
		c.add(w.in, worse, "address", a.at, fmt.Sprintf("%s asks for %s, the network's gateway", a.title(), x), "", "")
	case slices.ContainsFunc(b.excludes, in):
		c.add(w.in, lint.Hint, "address", a.at, fmt.Sprintf("%s asks for %s, which is excluded from what the network gives (%s): that is right if it is kept for this workload, and a conflict if a machine has it",
			a.title(), x, b.excludes[slices.IndexFunc(b.excludes, in)]), "", "")
	}
}

// sameAddress finds NICs that ask for one address on one wire, those of the pods of one object among them.
func (c *checker) sameAddress(all []*workload) {
	type place struct {
		attachment.Segment
		netip.Addr
	}
	first := map[place]*workload{}
	for _, w := range all {
		for _, a := range w.asks {
			d := c.definitions[a.title()]
			if d == nil || d.Segment() == (attachment.Segment{}) {
				continue
			}
			for _, p := range a.Addresses {
				at := place{d.Segment(), p.Addr().Unmap()}
				switch other := first[at]; {
				case other == nil:
					first[at] = w
				case other == w:
					c.add(w.in, lint.Error, "conflict", a.at, fmt.Sprintf("%s on %s is asked for twice", p.Addr(), d.Segment()), "", "")
				case title(other.in) != title(w.in):
					c.add(w.in, lint.Error, "conflict", a.at, fmt.Sprintf("%s on %s is asked for by %s, too", p.Addr(), d.Segment(), title(other.in)), "", "")
				}
			}
			if n := pods(w); n > 1 && len(a.Addresses) > 0 {
				c.add(w.in, lint.Error, "conflict", a.at, fmt.Sprintf("each of its %d pods asks for %s on %s", n, a.Addresses[0].Addr(), d.Segment()), "", "")
			}
		}
	}
}

// pods is how many an object says that it has, each with the same annotation; 0: it does not say.
func pods(w *workload) int {
	var o struct {
		Spec struct {
			Replicas    int `json:"replicas"`
			Parallelism int `json:"parallelism"`
		} `json:"spec"`
	}
	if w.vm != nil || w.in.Decode(&o) != nil {
		return 0
	}
	return max(o.Spec.Replicas, o.Spec.Parallelism)
}
