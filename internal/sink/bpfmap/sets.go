package bpfmap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
	"weftnet.io/weftnet/internal/sink/bpfmap/difference"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Sets keeps the maps policies, ranges and sets equal to table.PolicySets and tells in table.SetStatuses where each set lives.
//
// A set has an index for life, also over a restart of the agent; its entries live under a generation. Peers that come or go
// edit the generation in place, strongest entry first in and last out; anything else is written as a new generation that one
// store puts in force.
type Sets struct {
	db        *state.DB
	statuses  *state.Table[table.SetStatus]
	maps      setMaps
	nics      *ebpf.Map
	revisions *Revisions
	// Number of a list of rules, as it shall appear in events.
	number func([]policy.Origin) uint32

	takeover
	live       map[state.Key]*liveSet
	taken      []bool   // indexes in use, by this agent or by NICs that an earlier one left
	rest       []uint32 // freed indexes, longest first
	fresh      int      // no index below was never used
	generation uint32   // the last one given out
}

type setMaps interface {
	Maps
	Written
}

type liveSet struct {
	row        table.PolicySet
	index      uint32
	generation uint32
}

// NewSets reads which indexes and generations are in use. It removes entries of generations that no set names: an agent was
// killed before it put them in force, or before it had removed them.
func NewSets(db *state.DB, statuses *state.Table[table.SetStatus], m setMaps, r *Revisions, number func([]policy.Origin) uint32) (*Sets, error) {
	s := &Sets{
		db: db, statuses: statuses, maps: m, nics: m.Map("nics"), revisions: r, number: number, live: map[state.Key]*liveSet{},
		takeover: takeover{left: map[uint32]abi.Set{}, indexes: map[owner]uint32{}, retired: map[uint32]bool{}},
	}
	named := map[uint32]bool{}
	s.taken = make([]bool, m.Map("sets").MaxEntries())
	s.taken[0] = true // a NIC's zero value must not name a set
	note := func(index uint32, v abi.Set) {
		if v.Generation != 0 {
			s.taken[index] = true
			s.leave(index, v)
			s.generation = max(s.generation, uint32(v.Generation))
			named[uint32(v.Generation)] = true
		}
	}
	if err := m.Read("sets", func(m *ebpf.Map) error { return batch.Each(m, note) }); err != nil {
		return nil, fmt.Errorf("read map sets: %w", err)
	}
	unnamed := func(generation uint32) bool {
		s.generation = max(s.generation, generation)
		return !named[generation]
	}
	if err := s.clean(unnamed); err != nil {
		return nil, err
	}
	return s, nil
}

// indexValue is what the map sets has at an index.
func (s *Sets) indexValue(index uint32) (v abi.Set, err error) {
	err = s.maps.Read("sets", func(m *ebpf.Map) error { return m.Lookup(index, &v) })
	return v, err
}

// Dump shows the sets in force, and what an earlier agent left.
func (s *Sets) Dump(context.Context) (iter.Seq2[state.Key, table.PolicySet], error) {
	return func(yield func(state.Key, table.PolicySet) bool) {
		for key, l := range s.live {
			if !yield(key, l.row) {
				return
			}
		}
		for index := range s.left {
			if r := leftover(index); !yield(table.SetKey(r.Identity, r.NamedPorts), r) {
				return
			}
		}
	}, nil
}

// Set puts sets in force, and tells of them when all are: a pod that gets one of them is known to the others by
// then, if they are to let it in.
func (s *Sets) Set(_ context.Context, rows []table.PolicySet) error {
	var errs []error
	var there []table.SetStatus
	for _, r := range rows {
		key := table.SetKey(r.Identity, r.NamedPorts)
		status, err := s.set(key, r)
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: key, Err: err})
			continue
		}
		there = append(there, status)
	}
	err := s.db.Write(func(tx *state.Tx) error {
		for _, status := range there {
			s.statuses.Put(tx, status)
		}
		return nil
	})
	return errors.Join(append(errs, err, s.removeRetired())...)
}

func (s *Sets) set(key state.Key, row table.PolicySet) (status table.SetStatus, err error) {
	if err := fits(row, s.maps.Map("policies").MaxEntries(), s.maps.Map("ranges").MaxEntries()); err != nil {
		return status, err
	}
	l := s.live[key]
	var gone, added []policy.Entry
	if l != nil {
		gone, added = difference.Of(l.row.Entries, row.Entries)
	}
	switch {
	case l == nil:
		if l, err = s.begin(row); err != nil {
			return status, err
		}
		s.live[key] = l
	// Only peers, and which addresses are in which class; the word that says whether there are classes at all comes last.
	case named(0, l.row) == named(0, row) && difference.OnlyPeers(l.row.Entries, row.Entries, gone, added):
		err = s.edit(l, row, gone, added)
	default:
		err = s.replace(l, row)
	}
	if err != nil {
		return status, err
	}
	revision, err := s.enforce(l)
	return table.SetStatus{
		Set: key, Identity: l.row.Identity, Index: l.index, Revision: revision, Entries: len(l.row.Entries), Ranges: len(l.row.Ranges),
	}, err
}

// enforce raises the set's revision, so that connections ask anew.
func (s *Sets) enforce(l *liveSet) (revision uint64, err error) {
	if revision, err = s.revisions.Next(); err != nil {
		return 0, err
	}
	if err := s.maps.Put("sets", l.index, setValue(l.generation, l.row, revision)); err != nil {
		return 0, fmt.Errorf("raise revision of set %d: %w", l.index, err)
	}
	return revision, nil
}

func setValue(generation uint32, row table.PolicySet, revision uint64) abi.Set {
	of := ownerOf(row)
	return abi.Set{Generation: named(generation, row), Revision: revision, Identity: of.identity, Ports: of.ports}
}

// replace writes a new generation and flips the set to it. The revision still is the old one: see enforce.
func (s *Sets) replace(l *liveSet, row table.PolicySet) error {
	s.generation++
	generation := s.generation
	for i, e := range row.Entries {
		if err := s.put(generation, e); err != nil {
			return errors.Join(err, s.remove(generation, row.Entries[:i+1])) // a former map may have the last
		}
	}
	if err := s.editRanges(generation, nil, row.Ranges); err != nil {
		s.remove(generation, row.Entries)
		return err
	}
	before, err := s.indexValue(l.index)
	if err != nil {
		return fmt.Errorf("read set %d: %w", l.index, err)
	}
	if err := s.maps.Put("sets", l.index, setValue(generation, row, before.Revision)); err != nil {
		s.removeAll(generation, row)
		return fmt.Errorf("flip set %d: %w", l.index, err)
	}
	gone, old := l.generation, l.row
	l.generation, l.row = generation, row
	if gone != 0 {
		return s.removeAll(gone, old)
	}
	return nil
}

// edit changes the generation in force, for peers that came or went. What cannot be written whole is taken back.
func (s *Sets) edit(l *liveSet, row table.PolicySet, gone, added []policy.Entry) error {
	order := slices.Clone(added)
	slices.SortStableFunc(order, func(a, b policy.Entry) int { return cmp.Compare(b.Precedence, a.Precedence) })
	for i, e := range order {
		if err := s.put(l.generation, e); err != nil {
			put := order[:i+1]  // a former map may have the last
			slices.Reverse(put) // the weakest first
			return errors.Join(err, s.remove(l.generation, put))
		}
	}
	if err := s.editRanges(l.generation, l.row.Ranges, row.Ranges); err != nil {
		slices.Reverse(order)
		return errors.Join(err, s.remove(l.generation, order))
	}
	l.row = row
	return s.remove(l.generation, gone)
}

// Unset takes sets out of force. A set that a NIC still names stays, and the error says which.
func (s *Sets) Unset(_ context.Context, rows []table.PolicySet) error {
	nics, err := nicRows(s.nics)
	if err != nil {
		return err
	}
	users := map[uint32]uint32{}
	for _, n := range nics {
		users[n.SetIndex] = n.Ifindex
	}
	var errs []error
	for _, r := range rows {
		key := table.SetKey(r.Identity, r.NamedPorts)
		if err := s.unset(key, r, users); err != nil {
			errs = append(errs, &reconcile.RowError{Key: key, Err: err})
		}
	}
	return errors.Join(append(errs, s.removeRetired())...)
}

func (s *Sets) unset(key state.Key, r table.PolicySet, users map[uint32]uint32) error {
	l := s.live[key]
	if l == nil {
		index := indexOf(r)
		if _, there := s.left[index]; !there {
			return nil
		}
		return s.sweep(index, users)
	}
	if ifindex, used := users[l.index]; used {
		return fmt.Errorf("the NIC with device %d still uses it", ifindex)
	}
	if err := s.maps.Put("sets", l.index, abi.Set{}); err != nil {
		return fmt.Errorf("clear set %d: %w", l.index, err)
	}
	delete(s.live, key)
	s.free(l.index)
	if err := s.removeAll(l.generation, l.row); err != nil {
		return err
	}
	return s.db.Write(func(tx *state.Tx) error {
		s.statuses.Delete(tx, key)
		return nil
	})
}

// newIndex gives out an index that was never used, else the one that has rested longest.
func (s *Sets) newIndex() (uint32, error) {
	for ; s.fresh < len(s.taken); s.fresh++ {
		if !s.taken[s.fresh] && !slices.Contains(s.rest, uint32(s.fresh)) {
			s.taken[s.fresh] = true
			return uint32(s.fresh), nil
		}
	}
	if len(s.rest) == 0 {
		return 0, fmt.Errorf("map sets is full: all %d indexes are in use", len(s.taken)-1)
	}
	index := s.rest[0]
	s.rest = s.rest[1:]
	s.taken[index] = true
	return index, nil
}

func (s *Sets) free(index uint32) {
	s.taken[index] = false
	s.rest = append(s.rest, index)
}

func (s *Sets) value(e policy.Entry) abi.Policy {
	return abi.Policy{Precedence: e.Precedence, Rules: s.rules(e), Verdict: abi.Verdict(e.Verdict), Match: abi.Match(e.Match)}
}

func (s *Sets) rules(e policy.Entry) uint32 {
	if len(e.Rules) == 0 {
		return 0
	}
	return s.number(e.Rules)
}

func (s *Sets) put(generation uint32, e policy.Entry) error {
	if err := s.maps.Put("policies", policyKey(generation, e), s.value(e)); err != nil {
		return fmt.Errorf("write %s: %w", e, Full("policies", err))
	}
	return nil
}

// remove deletes entries, the any-peer defaults first: their absence tells a program that the generation is gone.
func (s *Sets) remove(generation uint32, entries []policy.Entry) error {
	order := slices.Clone(entries)
	slices.SortStableFunc(order, func(a, b policy.Entry) int {
		return cmp.Or(cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.View, b.View), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.PortBits, b.PortBits), cmp.Compare(a.Precedence, b.Precedence))
	})
	var errs []error
	for _, e := range order {
		if err := s.maps.Delete("policies", policyKey(generation, e)); err != nil && !missing(err) {
			errs = append(errs, fmt.Errorf("remove %s: %w", e, err))
		}
	}
	return errors.Join(errs...)
}

func policyKey(generation uint32, e policy.Entry) abi.PolicyKey {
	layer := uint8(e.Direction) | uint8(e.Tier)<<abi.LayerTier | uint8(e.View)<<abi.LayerView
	key := abi.PolicyKey{Bits: abi.PolicyBitsFixed, Generation: generation, Peer: uint32(e.Peer), Layer: layer}
	if e.Protocol != 0 {
		key.Bits += 8 + uint32(e.PortBits)
		key.Protocol = e.Protocol
		key.Port = abi.Port(e.Port)
	}
	return key
}
