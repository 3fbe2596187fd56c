package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/settings/key"
)

// Parse reads the effective keys. get gives the value of a key, and whether it is set.
func Parse(get func(key string) (string, bool)) (Config, []Problem) {
	r, c := key.NewReader(get, func(name string) (key.Info, bool) {
		k, known := catalogue[name]
		return key.Info{Default: k.Default, Syntax: k.Syntax}, known
	}), Config{}
	for _, k := range known {
		if k.Read != nil && k.Newer == "" {
			k.Read(r, &c, k.Name)
		}
	}
	for _, k := range known {
		if k.Newer != "" && r.Has(k.Name) && !r.Has(k.Newer) {
			k.Read(r, &c, k.Name)
		}
	}
	if !c.IPv4 && !c.IPv6 {
		r.Problem("enable-ipv4", "false", "together with enable-ipv6 \"false\" leaves no address family: using IPv4")
		c.IPv4 = true
	}
	if c.IPv4 {
		c.Pools = append(c.Pools, poolOf(r, "cluster-pool-ipv4-cidr", "cluster-pool-ipv4-mask-size", 32, c.SaidIPv4))
	}
	if c.IPv6 {
		c.Pools = append(c.Pools, poolOf(r, "cluster-pool-ipv6-cidr", "cluster-pool-ipv6-mask-size", 128, c.SaidIPv6))
	}
	return c, r.Problems
}

func setEntries(to func(*MapSizes) *int) key.Read[Config] {
	return func(r *key.Reader, c *Config, name string) { *to(&c.Maps) = r.Entries(name) }
}

func setLife(to func(*Lives) *time.Duration) key.Read[Config] {
	return func(r *key.Reader, c *Config, name string) { *to(&c.Lives) = r.Life(name) }
}

// readOutside reads whether calls from outside are translated here: by default as kube-proxy-replacement says.
func readOutside(to func(*Outside) *bool) key.Read[Config] {
	return func(r *key.Reader, c *Config, name string) {
		if *to(&c.Outside) = r.Flag(name); r.Text(name) == "" {
			*to(&c.Outside) = c.Replaces()
		}
	}
}

// readNodePorts reads the range of node ports.
func readNodePorts(r *key.Reader, c *Config, name string) {
	for _, text := range []string{r.Text(name), r.Default(name)} {
		low, high, _ := strings.Cut(text, ",")
		first, _ := strconv.ParseUint(low, 10, 16) // its syntax was checked
		last, _ := strconv.ParseUint(high, 10, 16)
		if c.Outside.First, c.Outside.Last = uint16(first), uint16(last); first <= last {
			return
		}
		r.Problem(name, text, fmt.Sprintf("ends before it begins; using %q", r.Default(name)))
	}
}

// readPortAddresses reads where node ports are offered.
func readPortAddresses(r *key.Reader, c *Config, name string) {
	for _, w := range key.Words(r.Text(name)) {
		if w == key.Primary {
			c.Outside.At.Primary = true
			continue
		}
		c.Outside.At.Ranges = append(c.Outside.At.Ranges, netip.MustParsePrefix(w).Masked()) // its syntax was checked
	}
}

// readSockets reads whether calls are translated at sockets, where kube-proxy-replacement leaves it open.
func readSockets(r *key.Reader, c *Config, name string) {
	switch on := r.Flag(name); {
	case c.Replaces():
		c.Sockets.On = true
	case c.Replacement == ReplaceDisabled:
		if on {
			r.Problem(name, "true", "does nothing: kube-proxy-replacement is \"disabled\"")
		}
	default:
		c.Sockets.On = on
	}
}

// byOthers is for a key that is read together with another one.
func byOthers(*key.Reader, *Config, string) {}

func poolOf(r *key.Reader, cidrs, size string, width int, said bool) Pool {
	pool := Pool{NodeBits: r.Number(size, 1, width), Said: said || r.Has(cidrs)}
	for _, w := range key.Words(r.Text(cidrs)) {
		p := netip.MustParsePrefix(w).Masked()
		switch {
		case p.Addr().BitLen() != width:
			r.Problem(cidrs, w, fmt.Sprintf("is not of the family with %d-bit addresses; left out", width))
		case p.Bits() > pool.NodeBits:
			r.Problem(cidrs, w, fmt.Sprintf("is smaller than the /%d that %s gives each node; left out", pool.NodeBits, size))
		case slices.ContainsFunc(pool.Prefixes, p.Overlaps):
			r.Problem(cidrs, w, "overlaps another prefix of the pool; left out")
		default:
			pool.Prefixes = append(pool.Prefixes, p)
		}
	}
	return pool
}
