package bpfmap

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// Rows of map service_sources: who may call a frontend. Those that a frontend is to have are written before it says that it has any, and
// those that it has no more go afterwards, so that in between it is called by none that neither admits.

func sourceKey(service uint32, p netip.Prefix) abi.SourceKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return abi.SourceKey{Bits: abi.SourceBitsFixed + uint32(bits), Service: service, Addr: abi.From(p.Addr())}
}

// readSources reads what an earlier agent wrote, by service.
func (s *Services) readSources() (map[uint32][]table.Source, error) {
	of := map[uint32][]table.Source{}
	var key abi.SourceKey
	var may uint32
	each := s.sources.Iterate()
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

// admit writes who may call a frontend.
func (s *Services) admit(service uint32, sources []table.Source) error {
	for _, source := range sources {
		may := uint32(0)
		if source.Allowed {
			may = 1
		}
		if err := s.sources.Put(sourceKey(service, source.Prefix), may); err != nil {
			return fmt.Errorf("write source %s: %w", source.Prefix, Full("service_sources", err))
		}
	}
	return nil
}

// dismiss removes what a frontend had and has no more.
func (s *Services) dismiss(service uint32, had, has []table.Source) error {
	var errs []error
	for _, source := range had {
		if slices.ContainsFunc(has, func(now table.Source) bool { return now.Prefix == source.Prefix }) {
			continue
		}
		if err := s.sources.Delete(sourceKey(service, source.Prefix)); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove source %s: %w", source.Prefix, err))
		}
	}
	return errors.Join(errs...)
}

// sameSources compares what two lists say, whatever their order.
func sameSources(a, b []table.Source) bool {
	says := func(list []table.Source) map[table.Source]bool {
		out := map[table.Source]bool{}
		for _, source := range list {
			out[source] = true
		}
		return out
	}
	return equalSets(says(a), says(b))
}

func equalSets(a, b map[table.Source]bool) bool {
	for source := range a {
		if !b[source] {
			return false
		}
	}
	return len(a) == len(b)
}
