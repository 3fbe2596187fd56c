// Package sweep takes finished entries out of the maps that all pods of a node share, and counts what each of them holds.
//
//	list, quotas, err := sweep.Run(maps, program, &progress)
package sweep

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/bpf/ktime"
)

// Tables are those that all workloads share, in the order of abi.QuotaKind.
var Tables = []string{"connections", "translations", "fragments"}

const (
	sweepChunk = 4096 // entries that one system call reads
	grace      = uint64(abi.SweepGraceSeconds * time.Second)
)

// sweepKey is union sweep_key of bpf/lib/abi/sweep.h.
type sweepKey = [unsafe.Sizeof(abi.Sweep{}.Keys[0])]byte

// Limit is how many entries of a table one owner may hold.
func Limit(size uint32) uint32 { return size / abi.QuotaParts }

// limitOf is how many entries of a table of this kind and size one owner may hold now: what quota_limit of bpf/lib/quota.h says
// while all owners together hold this.
func limitOf(kind abi.QuotaKind, size uint32, all abi.Quota) uint32 {
	most := Limit(size)
	whole := int64(most) * abi.QuotaParts
	left := whole - whole/abi.QuotaKept - all.Held[kind]
	if kind == abi.QuotaConnections {
		left -= int64(min(most, abi.Openings)) + all.Held[abi.QuotaCalled]
	}
	return uint32(min(int64(most), max(left, whole/abi.QuotaLeast+1)))
}

// Swept is what one pass over a shared table found.
type Swept struct {
	Table   string
	Size    uint32 // most entries it can have
	Limit   uint32 // most entries that one owner can have, as full as the table is now
	Held    int    // entries that are left
	Removed int
	Took    time.Duration
}

// Run takes finished connections, their translations and old fragments out, a chunk at a time: no call into the kernel
// looks at more than some thousand entries. Packets go on meanwhile. The quotas are what each owner holds afterwards, by
// incarnation of its NIC; 0: what concerns no NIC of this node. Maps are those of the datapath by name. What connections that go on
// have carried is told as progress says.
func Run(maps map[string]*ebpf.Map, program *ebpf.Program, progress *Progress) ([]Swept, map[uint32]abi.Quota, error) {
	s := sweeper{maps: maps, program: program, now: uint64(ktime.Now())}
	s.due = progress.begin(s.now)
	list := make([]Swept, 0, len(Tables))
	for kind, name := range Tables {
		one, err := s.table(abi.QuotaKind(kind), name)
		if err != nil {
			return nil, nil, fmt.Errorf("sweep %s: %w", name, err)
		}
		list = append(list, one)
	}
	if err := s.due.tell(maps, program); err != nil {
		return nil, nil, err
	}
	quotas, err := quotasOf(maps)
	if err != nil {
		return nil, nil, err
	}
	for kind := range list {
		list[kind].Limit = limitOf(abi.QuotaKind(kind), list[kind].Size, quotas[abi.OwnerAll])
	}
	delete(quotas, abi.OwnerAll)
	return list, quotas, forget(maps, quotas)
}

type sweeper struct {
	maps    map[string]*ebpf.Map
	program *ebpf.Program
	now     uint64
	batch   abi.Sweep // the value of map sweeping
	due     due
}

func (s *sweeper) table(kind abi.QuotaKind, name string) (Swept, error) {
	began := time.Now()
	m := s.maps[name]
	out := Swept{Table: name, Size: m.MaxEntries()}
	see := func(key *sweepKey, over bool) error {
		out.Held++
		if !over {
			return nil
		}
		removed, err := s.add(kind, key)
		out.Removed += removed
		return err
	}
	var err error
	clashed := false
	switch kind {
	case abi.QuotaConnections:
		err = each(m, func(key *sweepKey, v *abi.Ct) error {
			s.due.see(key, v)
			return see(key, v.Expires+grace < s.now)
		})
	case abi.QuotaTranslations:
		err = each(m, func(key *sweepKey, v *abi.Nat) error {
			clashed = clashed || v.SourcePort != abi.BePort{}
			// Whether its connection lives only the kernel can tell.
			return see(key, v.Opened+grace < s.now)
		})
		err = errors.Join(err, noteClash(s.maps, clashed))
	default:
		err = each(m, func(key *sweepKey, v *abi.Fragment) error {
			return see(key, v.Expires+grace < s.now)
		})
	}
	if err == nil {
		var removed int
		removed, err = s.run(kind)
		out.Removed += removed
	}
	out.Held -= out.Removed
	out.Took = time.Since(began)
	return out, err
}

// each reads a hash map in chunks. What comes and goes meanwhile may be seen or not.
func each[K, V any](m *ebpf.Map, f func(*K, *V) error) error {
	var cursor ebpf.MapBatchCursor
	keys, values := make([]K, sweepChunk), make([]V, sweepChunk)
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read entries: %w", err)
		}
		for i := range n {
			if err := f(&keys[i], &values[i]); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // that was the end
		}
	}
}

// add puts a key into the batch, and runs it when it is full.
func (s *sweeper) add(kind abi.QuotaKind, key *sweepKey) (int, error) {
	s.batch.Keys[s.batch.Count] = *key
	s.batch.Count++
	if s.batch.Count < abi.SweepKeys {
		return 0, nil
	}
	return s.run(kind)
}

func (s *sweeper) run(kind abi.QuotaKind) (int, error) {
	if s.batch.Count == 0 {
		return 0, nil
	}
	batch := s.maps["sweeping"]
	s.batch.Table = kind
	if err := batch.Put(uint32(0), &s.batch); err != nil {
		return 0, fmt.Errorf("write map sweeping: %w", err)
	}
	if _, err := s.program.Run(&ebpf.RunOptions{}); err != nil {
		return 0, fmt.Errorf("run program sweep: %w", err)
	}
	if err := batch.Lookup(uint32(0), &s.batch); err != nil {
		return 0, fmt.Errorf("read map sweeping: %w", err)
	}
	s.batch.Count = 0
	return int(s.batch.Removed), nil
}

// quotasOf are those of all owners, and what these hold together.
func quotasOf(maps map[string]*ebpf.Map) (map[uint32]abi.Quota, error) {
	var (
		owner uint32
		quota abi.Quota
		list  = map[uint32]abi.Quota{}
	)
	rows := maps["quota"].Iterate()
	for rows.Next(&owner, &quota) {
		list[owner] = quota
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read map quota: %w", err)
	}
	return list, nil
}

// forget removes the quotas of owners that are gone and hold nothing, from the map and from this list of them.
func forget(maps map[string]*ebpf.Map, quotas map[uint32]abi.Quota) error {
	var (
		ifindex uint32
		nic     abi.Nic
		lives   = map[uint32]bool{0: true}
	)
	nics := maps["nics"].Iterate()
	for nics.Next(&ifindex, &nic) {
		lives[nic.Incarnation] = true
	}
	if err := nics.Err(); err != nil {
		return fmt.Errorf("read map nics: %w", err)
	}
	for owner, quota := range quotas {
		if lives[owner] || slices.ContainsFunc(quota.Held[:], func(n int64) bool { return n > 0 }) {
			continue
		}
		if err := maps["quota"].Delete(owner); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget the quota of %d: %w", owner, err)
		}
		delete(quotas, owner)
	}
	return nil
}

// noteClash tells programs that there are connections with another source port, if there are: programs of a former version
// have not told.
func noteClash(maps map[string]*ebpf.Map, there bool) error {
	if !there {
		return nil
	}
	if err := maps["clashed"].Put(uint32(0), uint32(1)); err != nil {
		return fmt.Errorf("write map clashed: %w", err)
	}
	return nil
}

// Recount sets what each owner holds, and each caller has open, to what the tables say. Programs count on meanwhile; the
// little that they open between counting and writing is lost to the count until the next agent counts anew.
func Recount(maps map[string]*ebpf.Map) error {
	held, clashed := map[uint32]*[abi.QuotaKinds]int64{}, false
	callers := make([]uint32, abi.Callers)
	of := func(owner uint32) *[abi.QuotaKinds]int64 {
		if held[owner] == nil {
			held[owner] = &[abi.QuotaKinds]int64{}
		}
		return held[owner]
	}
	errs := errors.Join(
		each(maps["connections"], func(_ *abi.CtKey, v *abi.Ct) error {
			switch flags := v.Flags; {
			case flags&abi.CtOpening != 0:
				return nil // counts for no owner yet
			case flags&abi.CtCalled != 0:
				of(v.Owner)[abi.QuotaCalled]++
			default:
				of(v.Owner)[abi.QuotaConnections]++
			}
			if at := int(v.Caller) - 1; at >= 0 && at < len(callers) {
				callers[at]++
			}
			return nil
		}),
		each(maps["translations"], func(_ *abi.NatKey, v *abi.Nat) error {
			of(v.Owner)[abi.QuotaTranslations]++
			clashed = clashed || v.SourcePort != abi.BePort{}
			return nil
		}),
		each(maps["fragments"], func(_ *abi.FragmentKey, v *abi.Fragment) error { of(v.Owner)[abi.QuotaFragments]++; return nil }),
	)
	if err := errors.Join(errs, noteClash(maps, clashed), forgetProgress(maps)); err != nil {
		return err
	}
	quotas, err := quotasOf(maps)
	if err != nil {
		return err
	}
	delete(quotas, abi.OwnerAll)
	for owner := range quotas {
		of(owner) // what it held may be gone
	}
	all := [abi.QuotaKinds]int64{}
	for _, n := range held {
		for kind := range all {
			all[kind] += n[kind]
		}
	}
	held[abi.OwnerAll] = &all
	for owner, n := range held {
		quota := quotas[owner]
		quota.Held = *n
		if err := maps["quota"].Put(owner, quota); err != nil {
			return fmt.Errorf("write map quota: %w", err)
		}
	}
	at := make([]uint32, len(callers))
	for i := range at {
		at[i] = uint32(i)
	}
	if _, err := maps["callers"].BatchUpdate(at, callers, nil); err != nil {
		return fmt.Errorf("write map callers: %w", err)
	}
	return nil
}
