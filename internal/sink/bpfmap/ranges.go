package bpfmap

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/table"
)

// portion is the part of a map that one set may have, as 1 to so many: what is too large must not take away the others'
// room. Before a set is changed, twice that.
const portion = 4

// fits tells of a set that it has more than one set may have of the maps. It is not put in force: a new one keeps its workloads
// from being attached, one that is there stays as it was.
func fits(row table.PolicySet, policies, ranges uint32) error {
	for _, m := range []struct {
		name, what, less string
		held             int
		size             uint32
	}{
		{"policies", "entries", "let its policies choose fewer peers or ports", len(row.Entries), policies},
		{"ranges", "ranges of addresses", "let its policies name fewer prefixes", len(row.Ranges), ranges},
	} {
		if m.held > int(m.size/portion) {
			return fmt.Errorf("the policies of identity %d make %d %s, more than the %d that one set may have of map %s: %s, or raise bpf-map-dynamic-size-ratio",
				row.Identity, m.held, m.what, m.size/portion, m.name, m.less)
		}
	}
	return nil
}

// named is how a set in map sets names a generation.
func named(generation uint32, row table.PolicySet) uint64 {
	word := uint64(generation)
	if len(row.Ranges) > 0 {
		word |= abi.SetHasRanges
	}
	peers := false
	for _, e := range row.Entries {
		word |= tierFlags[e.Tier] | viewFlags[e.View]
		peers = peers || e.Peer != 0
	}
	if !peers {
		word |= abi.SetNamesNoPeer
	}
	return word
}

var (
	tierFlags = [...]uint64{policy.Normal: 0, policy.Admin: abi.SetHasAdmin, policy.Baseline: abi.SetHasBaseline}
	viewFlags = [...]uint64{policy.InForce: 0, policy.AsMeant: abi.SetHasMeant, policy.AsStaged: abi.SetHasStaged}
)

// editRanges makes the ranges of a generation in force those that are wanted. What cannot be written whole is taken back.
func (s *Sets) editRanges(generation uint32, have, want []policy.Range) error {
	put, gone := rangeSteps(have, want)
	for i, r := range put {
		if err := s.maps.Put("ranges", rangeKey(generation, r), uint32(r.Class)); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", r, Full("ranges", err)), s.takeBack(generation, have, put[:i+1]))
		}
	}
	return s.removeRanges(generation, gone)
}

// rangeSteps are what to put, and then what to remove, one after the other. Whatever address a packet asks about meanwhile,
// it finds what was or what shall be, and goes from one to the other once: what is new or other comes first, the longest
// prefix before those it lies in, and then what is gone goes, the shortest first.
func rangeSteps(have, want []policy.Range) (put, gone []policy.Range) {
	before := map[abi.RangeKey]policy.Range{}
	for _, r := range have {
		before[rangeKey(0, r)] = r
	}
	for _, r := range want {
		key := rangeKey(0, r)
		if old, there := before[key]; !there || old != r {
			put = append(put, r)
		}
		delete(before, key)
	}
	for _, r := range before {
		gone = append(gone, r)
	}
	slices.SortFunc(put, func(a, b policy.Range) int { return -byLength(a, b) })
	slices.SortFunc(gone, byLength)
	return put, gone
}

// takeBack undoes what editRanges put.
func (s *Sets) takeBack(generation uint32, have, put []policy.Range) error {
	before := map[abi.RangeKey]policy.Range{}
	for _, r := range have {
		before[rangeKey(generation, r)] = r
	}
	var errs []error
	var added []policy.Range
	for _, r := range slices.Backward(put) {
		if old, there := before[rangeKey(generation, r)]; !there {
			added = append(added, r)
		} else if err := s.maps.Put("ranges", rangeKey(generation, r), uint32(old.Class)); err != nil {
			errs = append(errs, fmt.Errorf("write %s: %w", old, err))
		}
	}
	return errors.Join(append(errs, s.removeRanges(generation, added))...)
}

// removeRanges deletes ranges, the shortest first: what lies in one is not to be seen as part of it meanwhile.
func (s *Sets) removeRanges(generation uint32, ranges []policy.Range) error {
	order := slices.Clone(ranges)
	slices.SortFunc(order, byLength)
	var errs []error
	for _, r := range order {
		if err := s.maps.Delete("ranges", rangeKey(generation, r)); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove %s: %w", r, err))
		}
	}
	return errors.Join(errs...)
}

// byLength puts the shorter prefix first, IPv4 counted in its mapped form.
func byLength(a, b policy.Range) int {
	return cmp.Or(cmp.Compare(rangeKey(0, a).Bits, rangeKey(0, b).Bits), a.Compare(b))
}

// removeAll deletes a generation that is in force no more.
func (s *Sets) removeAll(generation uint32, row table.PolicySet) error {
	return errors.Join(s.remove(generation, row.Entries), s.removeRanges(generation, row.Ranges))
}

// clean deletes whatever the maps have of some generations.
func (s *Sets) clean(which func(generation uint32) bool) error {
	if err := cleanMap[abi.PolicyKey, abi.Policy](s.maps, "policies", func(k abi.PolicyKey) bool { return which(k.Generation) }); err != nil {
		return err
	}
	return cleanMap[abi.RangeKey, uint32](s.maps, "ranges", func(k abi.RangeKey) bool { return which(k.Generation) })
}

func cleanMap[K, V any](maps Written, name string, which func(K) bool) error {
	var keys []K
	err := maps.Read(name, func(m *ebpf.Map) error {
		var key K
		var v V
		each := m.Iterate()
		for each.Next(&key, &v) {
			if which(key) {
				keys = append(keys, key)
			}
		}
		return each.Err()
	})
	if err != nil {
		return fmt.Errorf("read map %s: %w", name, err)
	}
	for _, key := range keys {
		if err := maps.Delete(name, key); err != nil && !missing(err) {
			return fmt.Errorf("remove an entry of map %s that no set names: %w", name, err)
		}
	}
	return nil
}

func rangeKey(generation uint32, r policy.Range) abi.RangeKey {
	bits := r.Prefix.Bits()
	if r.Prefix.Addr().Is4() {
		bits += 96
	}
	key := abi.RangeKey{Bits: uint32(abi.RangeBitsFixed + bits), Generation: generation, Place: abi.Place(r.Place)}
	key.Addr = r.Prefix.Addr().As16()
	return key
}
