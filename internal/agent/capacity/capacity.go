// Package capacity says how many entries the datapath's maps have room for: as many as the configuration asks for, or as the
// machine's memory allows.
//
//	bytes, err := capacity.Memory()
//	entries := capacity.Entries(config.Maps, bytes) // connections: 524288, …
package capacity

import (
	"cmp"
	"fmt"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/settings"
)

const (
	// pairBytes is what a connection (40 bytes of key, 224 of value: 512 for the kernel's allocator) and a translation (40 and 40) take together of the kernel's
	// memory, with what it keeps beside an entry of a hash and with the hash's buckets.
	pairBytes = 688
	// fewest entries of a map that is sized by memory, and the most.
	fewest = 128 << 10
	most   = 16 << 20
	// ruleBytes is what an entry of policy and a range of addresses take together: 36 bytes of keys and values or less, in a
	// trie that has up to as many inner nodes as entries. They take nothing as long as they are not there.
	ruleBytes   = 384
	fewestRules = 256 << 10
	mostRules   = 4 << 20
	// entries for each frontend, where no key of their own says how many, in the proportion of the defaults. Cilium keeps slots in the map of
	// frontends.
	slotsEach, backendsEach, partsEach = 4, 2, 4
	// sizes are multiples of this: a kernel that keeps a page more for itself changes nothing.
	grain = 4 << 10
)

// Entries gives the entries of maps, by name, on a machine with so many bytes of memory. What is not in it has the size
// that it was compiled with. A map that a key gives a size has that; the others of the table of connections and that of
// translations get as many entries as the ratio of the memory holds, and so do, together, policies and their ranges.
func Entries(c settings.MapSizes, memory uint64) map[string]uint32 {
	sizes := map[string]uint32{}
	if c.Ratio > 0 {
		n := uint32(min(max(float64(memory)*c.Ratio/pairBytes, fewest), most))
		sizes["connections"], sizes["translations"] = n/grain*grain, n/grain*grain
		n = uint32(min(max(float64(memory)*c.Ratio/ruleBytes, fewestRules), mostRules))
		sizes["policies"], sizes["ranges"] = n/grain*grain, n/grain*grain
	}
	// One table has what Cilium keeps in two. Who gives the size of one of them means it with the other's default, half or double.
	if tcp, other := c.CTTCP, c.CTAny; tcp > 0 || other > 0 {
		if other == 0 {
			other = tcp / 2
		}
		if tcp == 0 {
			tcp = other * 2
		}
		sizes["connections"] = uint32(min(tcp+other, most))
	}
	services := cmp.Or(c.Services, c.LB)
	for name, n := range map[string]int{
		"translations": c.NAT, "fragments": c.Fragments, "affinities": cmp.Or(c.ServiceAffinity, c.LB), "services": services, "slots": slotsEach * services,
		"backends": cmp.Or(c.ServiceBackends, backendsEach*c.LB), "service_sources": cmp.Or(c.ServiceSources, c.LB), "maglev": cmp.Or(c.Maglev, partsEach*c.LB),
	} {
		if n > 0 {
			sizes[name] = uint32(min(n, most))
		}
	}
	return sizes
}

// Memory is that of the machine, in bytes.
func Memory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("ask for the machine's memory: %w", err)
	}
	return info.Totalram * uint64(info.Unit), nil
}
