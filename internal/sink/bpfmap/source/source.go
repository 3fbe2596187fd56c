// Package source keeps map service_sources: who may call a frontend that takes calls of some clients alone.
//
// # Invariants
//
// What a frontend is to have is written before the frontend says that it has any, and what it has no more goes afterwards: in between it
// is called by no client that neither list admits.
//
// # Example
//
//	s, err := source.New(datapath)
//	err = s.Admit(7, []table.Source{{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Allowed: true}})
//	err = s.Dismiss(7, had, nil)
package source

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// Sources is the map.
type Sources struct{ maps Written }

// Written writes maps by name; datapath.Datapath does.
type Written interface {
	Map(name string) *ebpf.Map
	Put(name string, key, value any) error
	Delete(name string, key any) error
}

const mapName = "service_sources"

// New takes the map over.
func New(m Written) Sources { return Sources{m} }

func keyOf(service uint32, p netip.Prefix) abi.SourceKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return abi.SourceKey{Bits: abi.SourceBitsFixed + uint32(bits), Service: service, Addr: abi.From(p.Addr())}
}

// Read gives what an earlier agent wrote, by the number of the frontend.
func (s Sources) Read() (map[uint32][]table.Source, error) {
	of := map[uint32][]table.Source{}
	var key abi.SourceKey
	var may uint32
	each := s.maps.Map(mapName).Iterate()
	for each.Next(&key, &may) {
		bits, a := int(key.Bits)-abi.SourceBitsFixed, key.Addr.IP()
		if a.Is4() {
			bits -= 96
		}
		of[key.Service] = append(of[key.Service], table.Source{Prefix: netip.PrefixFrom(a, bits), Allowed: may != 0})
	}
	if err := each.Err(); err != nil {
		return nil, fmt.Errorf("read map service_sources: %w", err)
	}
	return of, nil
}

// Admit writes who may call a frontend.
func (s Sources) Admit(service uint32, sources []table.Source) error {
	for _, source := range sources {
		may := uint32(0)
		if source.Allowed {
			may = 1
		}
		if err := s.maps.Put(mapName, keyOf(service, source.Prefix), may); err != nil {
			return fmt.Errorf("write source %s: %w", source.Prefix, err)
		}
	}
	return nil
}

// Dismiss removes what a frontend had and has no more.
func (s Sources) Dismiss(service uint32, had, has []table.Source) error {
	var errs []error
	for _, source := range had {
		if slices.ContainsFunc(has, func(now table.Source) bool { return now.Prefix == source.Prefix }) {
			continue
		}
		if err := s.maps.Delete(mapName, keyOf(service, source.Prefix)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("remove source %s: %w", source.Prefix, err))
		}
	}
	return errors.Join(errs...)
}

// Equal compares what two lists say, whatever their order.
func Equal(a, b []table.Source) bool {
	if len(a)+len(b) == 0 {
		return true // as of nearly all frontends
	}
	says := func(list []table.Source) map[table.Source]bool {
		out := map[table.Source]bool{}
		for _, source := range list {
			out[source] = true
		}
		return out
	}
	return maps.Equal(says(a), says(b))
}
