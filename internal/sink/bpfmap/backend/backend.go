// Package backend keeps map backends: the places that frontends lead to, under the numbers by which slots and connections refer to them.
//
// # Invariants
//
//   - A backend keeps its number for as long as any frontend has it, across agents too. No other is given that number, nor one
//     that a call still names.
//   - One that a frontend has is in the map. One that none has is not, but for those that an earlier agent left: they stay until Sweep.
//
// # Example
//
//	all, known, err := backend.New(datapath, last, gone) // last: the highest number that a call names
//	all.Adopt(6, []table.Backend{known[7]}) // a frontend of an earlier agent has it
//	numbers, err := all.Take(6, row.Backends)
//	… // write slots that lead to numbers
//	err = all.Release(6, before.Backends)
package backend

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/sink/bpfmap/batch"
	"weftnet.io/weftnet/internal/table"
)

const mapName = "backends"

// Backends is the map.
type Backends struct {
	maps Written
	of   map[place]numbered
	last uint32
	gone func(id uint32) error
}

// Written writes maps by name; datapath.Datapath does.
type Written interface {
	Map(name string) *ebpf.Map
	Put(name string, key, value any) error
	Delete(name string, key any) error
}

// place is a backend in the least room: there are a hundred thousand.
type place struct {
	addr     abi.Addr
	port     uint16
	protocol uint8
}

func placeOf(protocol uint8, b table.Backend) place {
	return place{abi.From(b.Address), b.Port, protocol}
}

// numbered is the number of a backend, and how many frontends have it.
type numbered struct{ id, uses uint32 }

// New takes the map over, and gives what it has by number. The numbers up to last are not given out. gone is called with each number whose
// backend goes.
func New(m Written, last uint32, gone func(id uint32) error) (*Backends, map[uint32]table.Backend, error) {
	all, known := &Backends{maps: m, of: map[place]numbered{}, last: last, gone: gone}, map[uint32]table.Backend{}
	err := batch.Each(m.Map(mapName), func(id uint32, b abi.Backend) {
		known[id] = table.Backend{Address: b.Addr.IP(), Port: b.Port.Number()}
		all.of[place{b.Addr, b.Port.Number(), uint8(b.Protocol)}] = numbered{id: id}
		all.last = max(all.last, id)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read map %s: %w", mapName, err)
	}
	return all, known, nil
}

// Adopt says that a frontend has these, as far as they are in the map.
func (all *Backends) Adopt(protocol uint8, list []table.Backend) {
	for _, b := range list {
		p := placeOf(protocol, b)
		if n, known := all.of[p]; known {
			all.of[p] = numbered{n.id, n.uses + 1}
		}
	}
}

// Take says that a frontend has these, which are in the map then, and gives the numbers of those that take new connections. If one does not
// fit, it takes none.
func (all *Backends) Take(protocol uint8, list []table.Backend) (active []uint32, err error) {
	active = make([]uint32, 0, len(list))
	for i, b := range list {
		p := placeOf(protocol, b)
		n, known := all.of[p]
		if !known {
			all.last++
			n.id = all.last
			v := abi.Backend{Addr: p.addr, Port: abi.Port(b.Port), Protocol: uint16(protocol), Id: n.id}
			if err := all.maps.Put(mapName, n.id, v); err != nil {
				return nil, errors.Join(fmt.Errorf("write backend %s: %w", b, err), all.Release(protocol, list[:i]))
			}
		}
		all.of[p] = numbered{n.id, n.uses + 1}
		if b.Takes() {
			active = append(active, n.id)
		}
	}
	return active, nil
}

// Release says that a frontend has these no more. One that no other has goes.
func (all *Backends) Release(protocol uint8, list []table.Backend) error {
	var errs []error
	for _, b := range list {
		p := placeOf(protocol, b)
		n, known := all.of[p]
		if !known {
			continue
		}
		if n.uses--; n.uses > 0 {
			all.of[p] = n
			continue
		}
		delete(all.of, p)
		errs = append(errs, all.remove(n.id))
	}
	return errors.Join(errs...)
}

// Number is that of a backend, if a frontend has it.
func (all *Backends) Number(protocol uint8, address netip.Addr, port uint16) (uint32, bool) {
	n, known := all.of[place{abi.From(address), port, protocol}]
	return n.id, known
}

// Unused tells whether there are any that no frontend has.
func (all *Backends) Unused() bool {
	for _, n := range all.of {
		if n.uses == 0 {
			return true
		}
	}
	return false
}

// Sweep removes those.
func (all *Backends) Sweep() error {
	var errs []error
	for p, n := range all.of {
		if n.uses > 0 {
			continue
		}
		if err := all.remove(n.id); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(all.of, p)
	}
	return errors.Join(errs...)
}

func (all *Backends) remove(id uint32) error {
	if err := all.maps.Delete(mapName, id); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("remove backend %d, which no frontend has: %w", id, err)
	}
	return all.gone(id)
}

// Shared gives the numbers of those that more than one frontend has.
func (all *Backends) Shared(protocol uint8, list []table.Backend) (ids []uint32) {
	for _, b := range list {
		if n := all.of[placeOf(protocol, b)]; n.uses > 1 {
			ids = append(ids, n.id)
		}
	}
	return ids
}
