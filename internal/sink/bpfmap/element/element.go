// Package element keeps map maglev: the tables in which programs find the backend of a call from outside, so that every node chooses the same
// one (internal/maglev).
//
// # The world it models
//
// A table is in parts, each a row of the map, under a number that is a digest of all that it is computed from: its shape, its members and
// the ids that they have on this node. A frontend names one in its row of map services.
//
//	services                            maglev
//	203.0.113.7:443 -> table 7f…, 251   7f…/0 -> 4 9 9 4 …   7f…/1 -> 9 4 …   7f…/2
//
// # Invariants
//
//   - A table is never changed. It is whole before a frontend names it, and goes only after none does, and after each packet that may have read
//     so has been dealt with. So a packet that has read a frontend finds its table as it was then.
//   - Frontends with the same backends share one.
//
// # Example
//
//	number, err := tables.Take(frontend.Maglev, members, ids)
//	… // write the frontend
//	tables.Release(before)
//	err = tables.Clean()
package element

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
	"weftnet.io/weftnet/internal/table"
)

const mapName = "maglev"

// Written writes maps by name; datapath.Datapath does.
type Written interface {
	Map(name string) *ebpf.Map
	PutAll(name string, keys, values any) error // of slices
	Delete(name string, key any) error
}

// Tables is the map.
type Tables struct {
	maps  Written
	there map[uint64]*one
	idle  map[uint64]bool // those of no frontend

	last  uint64 // the table that was computed last: frontends of one service come one after the other
	parts []abi.MaglevPart

	ahead *ahead // nil: no table is expected
}

type one struct {
	uses  int    // frontends that name it
	parts uint32 // that may be in the map
	whole bool
}

// New takes the map over. Tables that an earlier agent left are of no frontend until Adopt says so.
func New(m Written) (*Tables, error) {
	t := &Tables{maps: m, there: map[uint64]*one{}, idle: map[uint64]bool{}}
	seen := map[uint64]uint32{}
	err := batch.Each(m.Map(mapName), func(key abi.MaglevKey, _ abi.MaglevPart) {
		seen[key.Table]++
		if t.there[key.Table] == nil {
			t.there[key.Table], t.idle[key.Table] = &one{}, true
		}
		t.there[key.Table].parts = max(t.there[key.Table].parts, key.Part+1)
	})
	if err != nil {
		return nil, fmt.Errorf("read map %s: %w", mapName, err)
	}
	for number, n := range seen {
		t.there[number].whole = n == t.there[number].parts
	}
	return t, nil
}

// Adopt says that a frontend names a table of this size, and tells whether it is there, and whole.
func (t *Tables) Adopt(number uint64, size uint32) bool {
	if size == 0 {
		return true
	}
	if t.there[number] == nil {
		t.there[number] = &one{}
	}
	has := t.there[number]
	has.uses++
	delete(t.idle, number)
	has.whole = has.whole && has.parts == partsOf(size)
	return has.whole
}

func partsOf(size uint32) uint32 { return (size + abi.MaglevElements - 1) / abi.MaglevElements }

// Number is that of the table for these members, whose ids on this node are in the same order; 0: the shape is none.
func Number(s maglev.Shape, members []maglev.Member, ids []uint32) uint64 {
	if s.Size == 0 || len(members) == 0 {
		return 0
	}
	texts := make([]string, 0, len(members))
	for i, m := range members {
		texts = append(texts, fmt.Sprintf("%s %d %d %d\n", m.Address, m.Port, m.Protocol, ids[i]))
	}
	slices.Sort(texts) // the order of members does not matter to the table
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %x\n", s.Size, s.Seed)
	for _, text := range texts {
		sum.Write([]byte(text))
	}
	return binary.LittleEndian.Uint64(sum.Sum(nil)) | 1 // none has 0
}

// Take gives the number of the table for these members, which is in the map then and stays there until it is released; 0: the shape is none.
// If it does not fit, none of it is written.
func (t *Tables) Take(s maglev.Shape, members []maglev.Member, ids []uint32) (uint64, error) {
	number := Number(s, members, ids)
	if number == 0 {
		return 0, nil
	}
	has := t.there[number]
	if has == nil {
		has = &one{}
		t.there[number] = has
	}
	if !has.whole {
		if t.last != number {
			t.last = number
			t.compute(s, members, ids)
		}
		keys := make([]abi.MaglevKey, len(t.parts))
		for i := range keys {
			keys[i] = abi.MaglevKey{Table: number, Part: uint32(i)}
		}
		has.parts = uint32(len(keys))
		if err := t.maps.PutAll(mapName, keys, t.parts); err != nil {
			err = fmt.Errorf("write a table of %d elements: %w", s.Size, err)
			if has.uses == 0 {
				err = errors.Join(err, t.remove(number))
			}
			return 0, err
		}
		has.whole = true
	}
	has.uses++
	delete(t.idle, number)
	return number, nil
}

// compute makes parts of the table.
func (t *Tables) compute(s maglev.Shape, members []maglev.Member, ids []uint32) {
	t.parts = slices.Grow(t.parts[:0], int(partsOf(s.Size)))[:partsOf(s.Size)]
	t.parts[len(t.parts)-1] = abi.MaglevPart{} // of which not all is used
	for part, of := 0, t.table(s, members); part < len(t.parts); part++ {
		for i, member := range of[part*abi.MaglevElements : min((part+1)*abi.MaglevElements, len(of))] {
			t.parts[part].Backend[i] = ids[member]
		}
	}
}

// Release says that a frontend names a table no more.
func (t *Tables) Release(number uint64) {
	if has := t.there[number]; has != nil && has.uses > 0 {
		has.uses--
		if has.uses == 0 {
			t.idle[number] = true
		}
	}
}

// Clean removes the tables that no frontend names.
func (t *Tables) Clean() error {
	if len(t.idle) == 0 {
		return nil
	}
	settle()
	var errs []error
	for _, number := range slices.Sorted(maps.Keys(t.idle)) {
		errs = append(errs, t.remove(number))
	}
	return errors.Join(errs...)
}

func (t *Tables) remove(number uint64) error {
	for part := range t.there[number].parts {
		if err := t.maps.Delete(mapName, abi.MaglevKey{Table: number, Part: part}); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("remove part %d of a table of no frontend: %w", part, err)
		}
	}
	delete(t.there, number)
	delete(t.idle, number)
	return nil
}

// settle returns after every program that runs now has ended: this command of membarrier waits for all readers of RCU, and programs are such. A
// kernel that refuses it (nohz_full) has a program that finds its table gone choose by chance.
func settle() {
	const global = 1
	_, _, _ = unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0)
}

// Members are those of a row's table: the backends that take new connections; none, if it has no table.
func Members(r table.Frontend) (list []maglev.Member) {
	if r.Maglev.Size == 0 {
		return nil
	}
	for _, b := range r.Backends {
		if b.Takes() {
			list = append(list, maglev.Member{Address: b.Address, Port: b.Port, Protocol: r.Protocol})
		}
	}
	return list
}
