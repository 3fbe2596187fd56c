package arch

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// storeys puts every header of bpf/lib in its place, from the ground up. A header includes those of lower storeys, and of its
// own those to its left; the shapes in bpf/lib/abi lie below all and include each other alone, and a program may include any.
var storeys = [][]string{
	{"config", "addr", "mark", "netkit"},                                                  // words
	{"ipcache", "nic", "quota", "packet", "icmp", "extension", "parse", "quoted", "vlan"}, // who, how much, what
	{"context", "identity", "event", "drop"},                                              // one packet's state; what is told; the one way out
	{"rewrite", "fragment", "tcp", "caller", "account", "ct"},                             // no policy below here
	{"policy", "nat", "lb"},                                                               // answers
	{"verdict", "related", "reply", "masquerade", "clash", "neighbor", "sweep"},           // steps on a packet
	{"overlay", "route", "deliver"},                                                       // legs of a path
	{"workload", "reject", "node"},                                                        // who sends, who gets, and the host firewall
}

const whyStorey = "headers of bpf/lib include downward only (storeys in internal/arch/storeys.go), so that a step is read without those that use it"

var include = regexp.MustCompile(`(?m)^#include "([^"]+)"`)

// checkStorey holds the includes of a header of bpf/lib against the storeys.
func (c *checker) checkStorey(name string, text []byte) {
	const lib = "bpf/lib/"
	if !strings.HasPrefix(name, lib) || path.Ext(name) != ".h" {
		return
	}
	own := storeyOf(name)
	if own < 0 {
		c.report(name, whyStorey, "the header is in no storey")
		return
	}
	for _, m := range include.FindAllSubmatch(text, -1) {
		to := path.Join(path.Dir(name), string(m[1]))
		if at := storeyOf(to); !strings.HasPrefix(to, lib) || at < 0 || at > own || at == own && own > 0 {
			c.report(name, whyStorey, "it includes %s", strings.TrimPrefix(to, lib))
		}
	}
}

// storeyOf is the place of a header among all: 0 for the shapes, less for what has none.
func storeyOf(name string) int {
	if path.Dir(name) == "bpf/lib/abi" {
		return 0
	}
	if at := slices.Index(slices.Concat(storeys...), strings.TrimSuffix(path.Base(name), ".h")); at >= 0 && path.Dir(name) == "bpf/lib" {
		return at + 1
	}
	return -1
}
