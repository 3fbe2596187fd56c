package arch

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// storeys puts headers of bpf/lib in order, from the ground up. A header includes those of lower storeys, and of its
// own those to its left; the shapes in bpf/lib/abi lie below all and include each other alone, and a program may include any.
// A header that is not here stands on what it includes, so a new one need not be added.
var storeys = [][]string{
	{"config", "addr", "mark", "netkit"},                                                                   // words
	{"ipcache", "nic", "quota", "packet", "icmp", "extension", "parse", "quoted", "vlan"},                  // who, how much, what
	{"context", "identity", "event", "drop"},                                                               // one packet's state; what is told; the one way out
	{"rewrite", "fragment", "tcp", "caller", "account", "progress", "lives", "ct", "nat", "spare", "open"}, // no policy below here
	{"policy", "lb"}, // answers
	{"verdict", "related", "reply", "port", "masquerade", "service", "clash", "neighbor", "sweep"}, // steps on a packet
	{"overlay", "route", "deliver"},           // legs of a path
	{"path"},                                  // choose once, remember, take
	{"workload", "reject", "node"},            // who sends, who gets, and the host firewall
	{"station", "guard", "uplink", "bridged"}, // further NICs
}

const lib = "bpf/lib/"

const whyStorey = "headers of bpf/lib include downward only (storeys in internal/arch/storeys.go), so that a step is read without those that use it"

var include = regexp.MustCompile(`(?m)^#include "([^"]+)"`)

// readIncludes notes what a header of bpf/lib includes.
func (c *checker) readIncludes(name string, text []byte) {
	if !strings.HasPrefix(name, lib) || path.Ext(name) != ".h" {
		return
	}
	c.includes[name] = []string{}
	for _, m := range include.FindAllSubmatch(text, -1) {
		c.includes[name] = append(c.includes[name], path.Join(path.Dir(name), string(m[1])))
	}
}

// checkStoreys holds the headers of bpf/lib against the storeys.
func (c *checker) checkStoreys() {
	for _, name := range slices.Sorted(maps.Keys(c.includes)) {
		own := c.storeyOf(name, nil)
		for _, to := range c.includes[name] {
			at := c.storeyOf(to, nil)
			switch {
			case !strings.HasPrefix(to, lib), at > own, at == own && own > 0 && listed(name):
				c.report(name, whyStorey, "it includes %s", strings.TrimPrefix(to, lib))
			case !(listed(name) && listed(to)) && slices.Contains(c.below(to, nil), name):
				c.report(name, whyStorey, "%s, which it includes, includes it", strings.TrimPrefix(to, lib))
			}
		}
	}
}

// storeyOf is the storey of a header, from the ground: 0 for the shapes. A header that is in no storey stands on what it includes.
func (c *checker) storeyOf(name string, seen []string) (at int) {
	if path.Dir(name) == lib+"abi" {
		return 0
	}
	if i := slices.Index(slices.Concat(storeys...), noun(name)); i >= 0 && path.Dir(name)+"/" == lib {
		return i + 1
	}
	if slices.Contains(seen, name) {
		return 0
	}
	for _, to := range c.includes[name] {
		at = max(at, c.storeyOf(to, append(seen, name)))
	}
	return at
}

// below lists a header and all that it includes.
func (c *checker) below(name string, seen []string) []string {
	if slices.Contains(seen, name) {
		return seen
	}
	seen = append(seen, name)
	for _, to := range c.includes[name] {
		seen = c.below(to, seen)
	}
	return seen
}

func listed(name string) bool { return slices.Contains(slices.Concat(storeys...), noun(name)) }

func noun(name string) string { return strings.TrimSuffix(path.Base(name), ".h") }
