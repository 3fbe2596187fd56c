package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/identity"
)

// Problem is a value that makes no sense.
type Problem struct {
	Key, Value string
	Message    string // what is wrong and what is done instead
}

func (p Problem) String() string { return fmt.Sprintf("%s: %q %s", p.Key, p.Value, p.Message) }

// Parse reads the effective keys. get gives the value of a key, and whether it is set.
func Parse(get func(key string) (string, bool)) (Config, []Problem) {
	r, c := reader{get: get, keys: catalogue}, Config{}
	for _, k := range known {
		if k.read != nil && k.newer == "" {
			k.read(&r, &c, k.Name)
		}
	}
	for _, k := range known {
		if k.newer != "" && r.has(k.Name) && !r.has(k.newer) {
			k.read(&r, &c, k.Name)
		}
	}
	if !c.IPv4 && !c.IPv6 {
		r.problem("enable-ipv4", "false", "together with enable-ipv6 \"false\" leaves no address family: using IPv4")
		c.IPv4 = true
	}
	if c.IPv4 {
		c.Pools = append(c.Pools, r.pool("cluster-pool-ipv4-cidr", "cluster-pool-ipv4-mask-size", 32, c.SaidIPv4))
	}
	if c.IPv6 {
		c.Pools = append(c.Pools, r.pool("cluster-pool-ipv6-cidr", "cluster-pool-ipv6-mask-size", 128, c.SaidIPv6))
	}
	return c, r.problems
}

// read puts what a key says into a Config.
type read func(r *reader, c *Config, key string)

func setFlag(to func(*Config) *bool) read {
	return func(r *reader, c *Config, key string) { *to(c) = r.flag(key) }
}

func setText(to func(*Config) *string) read {
	return func(r *reader, c *Config, key string) { *to(c) = r.text(key) }
}

func setNumber(low, high int, to func(c *Config, n int)) read {
	return func(r *reader, c *Config, key string) { to(c, r.number(key, low, high)) }
}

func setWord(to func(c *Config, word string)) read {
	return func(r *reader, c *Config, key string) { to(c, r.text(key)) }
}

func setPrefix(to func(*Config) *netip.Prefix) read {
	return func(r *reader, c *Config, key string) { *to(c) = r.prefix(key) }
}

func setEntries(to func(*MapSizes) *int) read {
	return func(r *reader, c *Config, key string) { *to(&c.Maps) = r.entries(key) }
}

func setLife(to func(*Lives) *time.Duration) read {
	return func(r *reader, c *Config, key string) { *to(&c.Lives) = r.life(key) }
}

func setList(to func(*Config) *[]string) read {
	return func(r *reader, c *Config, key string) { *to(c) = words(r.text(key)) }
}

// readOutside reads whether calls from outside are translated here: by default as kube-proxy-replacement says.
func readOutside(to func(*Outside) *bool) read {
	return func(r *reader, c *Config, key string) {
		if *to(&c.Outside) = r.flag(key); r.text(key) == "" {
			*to(&c.Outside) = c.Replaces()
		}
	}
}

// readNodePorts reads the range of node ports.
func readNodePorts(r *reader, c *Config, key string) {
	for _, text := range []string{r.text(key), r.keys[key].Default} {
		low, high, _ := strings.Cut(text, ",")
		first, _ := strconv.ParseUint(low, 10, 16) // its syntax was checked
		last, _ := strconv.ParseUint(high, 10, 16)
		if c.Outside.First, c.Outside.Last = uint16(first), uint16(last); first <= last {
			return
		}
		r.problem(key, text, fmt.Sprintf("ends before it begins; using %q", r.keys[key].Default))
	}
}

// readPortAddresses reads where node ports are offered.
func readPortAddresses(r *reader, c *Config, key string) {
	for _, w := range words(r.text(key)) {
		if w == primary {
			c.Outside.At.Primary = true
			continue
		}
		c.Outside.At.Ranges = append(c.Outside.At.Ranges, netip.MustParsePrefix(w).Masked()) // its syntax was checked
	}
}

// readSockets reads whether calls are translated at sockets, where kube-proxy-replacement leaves it open.
func readSockets(r *reader, c *Config, key string) {
	switch on := r.flag(key); {
	case c.Replaces():
		c.Sockets.On = true
	case c.Replacement == ReplaceDisabled:
		if on {
			r.problem(key, "true", "does nothing: kube-proxy-replacement is \"disabled\"")
		}
	default:
		c.Sockets.On = on
	}
}

// byOthers is for a key that is read together with another one.
func byOthers(*reader, *Config, string) {}

// reader reads values and collects what is wrong with them. A value that is wrong counts as absent.
type reader struct {
	get      func(string) (string, bool)
	keys     map[string]Key
	problems []Problem
}

func (r *reader) problem(key, value, message string) {
	r.problems = append(r.problems, Problem{key, value, message})
}

func (r *reader) has(key string) bool {
	v, ok := r.get(key)
	return ok && r.keys[key].syntax.check(strings.TrimSpace(v)) == nil
}

// text gives the value of a key if its syntax allows it, else the default.
func (r *reader) text(key string) string {
	k, known := r.keys[key]
	if !known {
		panic("settings: " + key + " is read but not in the catalogue")
	}
	v, ok := r.get(key)
	if !ok {
		return k.Default
	}
	v = strings.TrimSpace(v)
	if err := k.syntax.check(v); err != nil {
		r.problem(key, v, fmt.Sprintf("%v; using %q", err, k.Default))
		return k.Default
	}
	return v
}

func (r *reader) flag(key string) bool {
	on, _ := strconv.ParseBool(r.text(key))
	return on
}

func (r *reader) number(key string, low, high int) int {
	v := r.text(key)
	n, err := strconv.Atoi(v)
	if v == "" {
		return 0
	}
	if err != nil || n < low || n > high {
		k := r.keys[key]
		r.problem(key, v, fmt.Sprintf("is not between %d and %d; using %q", low, high, k.Default))
		n, _ = strconv.Atoi(k.Default)
	}
	return n
}

// Least and most entries of a map that its key may ask for.
const (
	minEntries = 1 << 10
	maxEntries = 1 << 24
)

// entries gives the size of a map; 0 if the key is not set.
func (r *reader) entries(key string) int {
	if v := r.text(key); v == "" || v == "0" {
		return 0
	}
	return r.number(key, minEntries, maxEntries)
}

// life gives a time; 0 if the key is not set.
func (r *reader) life(key string) time.Duration {
	d, _ := time.ParseDuration(r.text(key)) // its syntax was checked
	return d
}

// fraction gives a number between 0 and 1.
func (r *reader) fraction(key string) float64 {
	x, _ := strconv.ParseFloat(r.text(key), 64) // its syntax was checked
	return x
}

func (r *reader) prefix(key string) netip.Prefix {
	v := r.text(key)
	if v == "" {
		return netip.Prefix{}
	}
	p := netip.MustParsePrefix(v) // its syntax was checked
	return p.Masked()
}

// patterns gives the patterns of a list that make sense.
func (r *reader) patterns(key string) (out []string) {
	list, _ := r.get(key)
	for _, w := range words(list) {
		if _, err := identity.NewFilter([]string{w}); err != nil {
			r.problem(key, w, fmt.Sprintf("is left out: %v", err))
			continue
		}
		out = append(out, w)
	}
	return out
}

func (r *reader) pool(cidrs, size string, width int, said bool) Pool {
	pool := Pool{NodeBits: r.number(size, 1, width), Said: said || r.has(cidrs)}
	for _, w := range words(r.text(cidrs)) {
		p := netip.MustParsePrefix(w).Masked()
		switch {
		case p.Addr().BitLen() != width:
			r.problem(cidrs, w, fmt.Sprintf("is not of the family with %d-bit addresses; left out", width))
		case p.Bits() > pool.NodeBits:
			r.problem(cidrs, w, fmt.Sprintf("is smaller than the /%d that %s gives each node; left out", pool.NodeBits, size))
		case slices.ContainsFunc(pool.Prefixes, p.Overlaps):
			r.problem(cidrs, w, "overlaps another prefix of the pool; left out")
		default:
			pool.Prefixes = append(pool.Prefixes, p)
		}
	}
	return pool
}

// words splits a list as ConfigMaps write them: by spaces, commas or newlines.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}
