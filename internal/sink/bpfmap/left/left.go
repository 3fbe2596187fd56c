// Package left keeps the rows of map slots that say which backends have left a frontend although they are there, as those of another one.
//
// # The world it models
//
// Datagrams of one client go to one backend, for as long as that is one of the service. A program knows the backend by its number, and whether
// that is there by map backends. But one that has left this service, and serves another, is there.
//
//	10.96.0.1:53 had 7, and has 8      slots  12|0 -> 8   12|LEFT|7 -> 7
//	10.96.0.2:53 has 7                 slots  13|0 -> 7
//
// # Invariants
//
//   - There is a row for each backend that a frontend had, and has not, while any other has it. Frontends of UDP alone have such rows.
//   - A backend that goes, and a frontend that goes, take their rows along.
//
// # Example
//
//	rows := left.New(datapath)
//	err := rows.Put(12, []uint32{7}) // before the frontend's row is written, with abi.ServiceLeft if rows.Any(12)
//	err = rows.Gone(7)
package left

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
)

const mapName = "slots"

// Written writes maps by name; datapath.Datapath does.
type Written interface {
	Put(name string, key, value any) error
	Delete(name string, key any) error
}

// Rows are those of the map.
type Rows struct {
	maps Written
	of   map[uint32]map[uint32]bool // backends, by frontend
}

// New knows of none: Adopt says what an earlier agent wrote.
func New(m Written) *Rows { return &Rows{maps: m, of: map[uint32]map[uint32]bool{}} }

// Adopt says that a row is there.
func (r *Rows) Adopt(k abi.SlotKey) { r.note(k.Service, k.Slot&^abi.SlotLeft) }

func (r *Rows) note(frontend, backend uint32) {
	if r.of[frontend] == nil {
		r.of[frontend] = map[uint32]bool{}
	}
	r.of[frontend][backend] = true
}

// Any tells whether a frontend has such a row.
func (r *Rows) Any(frontend uint32) bool { return len(r.of[frontend]) > 0 }

// Has tells whether a row is one.
func (r *Rows) Has(k abi.SlotKey) bool {
	return k.Slot&abi.SlotTakes == 0 && k.Slot&abi.SlotLeft != 0 && r.of[k.Service][k.Slot&^abi.SlotLeft]
}

// Put says that backends have left a frontend. If one row does not fit, none of those that are new stays.
func (r *Rows) Put(frontend uint32, backends []uint32) error {
	for i, id := range backends {
		if err := r.maps.Put(mapName, key(frontend, id), id); err != nil {
			return errors.Join(fmt.Errorf("write that backend %d has left: %w", id, err), r.Remove(frontend, backends[:i]))
		}
		r.note(frontend, id)
	}
	return nil
}

func key(frontend, backend uint32) abi.SlotKey {
	return abi.SlotKey{Service: frontend, Slot: abi.SlotLeft | backend}
}

// Remove says that a frontend has backends again.
func (r *Rows) Remove(frontend uint32, backends []uint32) error {
	var errs []error
	for _, id := range backends {
		if !r.of[frontend][id] {
			continue
		}
		if err := r.maps.Delete(mapName, key(frontend, id)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("remove that backend %d has left: %w", id, err))
			continue
		}
		if delete(r.of[frontend], id); len(r.of[frontend]) == 0 {
			delete(r.of, frontend)
		}
	}
	return errors.Join(errs...)
}

// Closed says that a frontend has gone.
func (r *Rows) Closed(frontend uint32) error {
	var all []uint32
	for id := range r.of[frontend] {
		all = append(all, id)
	}
	return r.Remove(frontend, all)
}

// Gone says that a backend has gone.
func (r *Rows) Gone(backend uint32) error {
	var errs []error
	for frontend := range r.of {
		errs = append(errs, r.Remove(frontend, []uint32{backend}))
	}
	return errors.Join(errs...)
}
