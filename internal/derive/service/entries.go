package service

import (
	"fmt"
	"iter"
	"net/netip"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// Entries adds to `held`, by map, how many entries frontends take.
func Entries(rows iter.Seq[table.Frontend], held map[string]int) map[string]int {
	type backend struct {
		at       netip.AddrPort
		protocol uint8
	}
	backends, tables := map[backend]bool{}, map[string]bool{}
	for f := range rows {
		held["services"]++
		held["service_sources"] += len(f.Sources)
		for _, b := range f.Backends {
			backends[backend{netip.AddrPortFrom(b.Address, b.Port), f.Protocol}] = true
			if b.Takes() {
				held["slots"]++
				if f.AffinitySeconds > 0 {
					held["slots"]++ // that it takes calls of clients that it keeps
				}
			}
		}
		if shape := f.Maglev; shape.Size > 0 {
			if of := fmt.Sprint(shape, f.Protocol, f.Backends); !tables[of] {
				tables[of] = true
				held["maglev"] += int((shape.Size + abi.MaglevElements - 1) / abi.MaglevElements)
			}
		}
	}
	held["backends"] += len(backends)
	return held
}
