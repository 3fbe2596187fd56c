package bpfmap

import (
	"fmt"
	"hash/fnv"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// inheritance is the slots that an earlier agent left in force. NICs name them, and who takes over a set takes over its slot:
// a NIC is under what this agent has to say of its set as soon as that is in force, not once its row is written.
type inheritance struct {
	left  map[uint32]abi.Set // slots that no set of this agent has yet
	heirs map[owner]uint32   // whose they are
	dead  map[uint32]bool    // generations of those that have one now: their entries are to be removed
}

// owner is whose a slot is, as the map has it.
type owner struct{ identity, ports uint32 }

func ownerOf(row table.PolicySet) owner {
	h := fnv.New32a()
	_, _ = h.Write([]byte(row.NamedPorts))
	return owner{uint32(row.Identity), h.Sum32()}
}

func (i *inheritance) leave(slot uint32, v abi.Set) {
	i.left[slot] = v
	i.heirs[owner{v.Identity, v.Ports}] = slot
}

// take makes a slot this agent's.
func (i *inheritance) take(slot uint32) (generation uint32) {
	v := i.left[slot]
	delete(i.left, slot)
	delete(i.heirs, owner{v.Identity, v.Ports})
	return uint32(v.Generation)
}

// leftover is the row under which Dump shows a slot that an earlier agent left, so that it is removed in time.
func leftover(slot uint32) table.PolicySet {
	return table.PolicySet{NamedPorts: fmt.Sprintf("slot %d of an earlier agent", slot)}
}

// slotOf is the slot of a leftover, 0 of any other row: no set has that.
func slotOf(r table.PolicySet) (slot uint32) {
	_, _ = fmt.Sscanf(r.NamedPorts, "slot %d of", &slot)
	return slot
}

// begin puts a set in force that this agent has not had yet.
func (s *Sets) begin(row table.PolicySet) (l *liveSet, err error) {
	l = &liveSet{}
	slot, inherited := s.heirs[ownerOf(row)]
	if l.slot = slot; !inherited {
		if l.slot, err = s.slot(); err != nil {
			return nil, err
		}
	}
	if err := s.replace(l, row); err != nil {
		if !inherited {
			s.free(l.slot)
		}
		return nil, err
	}
	if inherited {
		s.dead[s.take(l.slot)] = true
	}
	return l, nil
}

// bury removes the entries of generations that sets of this agent have taken the place of, all at once: nobody knows them by
// their keys.
func (s *Sets) bury() error {
	if len(s.dead) == 0 {
		return nil
	}
	if err := s.clean(func(generation uint32) bool { return s.dead[generation] }); err != nil {
		return err
	}
	clear(s.dead)
	return nil
}

// sweep removes a set of an earlier agent once no NIC names it.
func (s *Sets) sweep(slot uint32, users map[uint32]uint32) error {
	if ifindex, used := users[slot]; used {
		return fmt.Errorf("the NIC with device %d still uses it", ifindex)
	}
	if err := s.maps.Put("sets", slot, abi.Set{}); err != nil {
		return fmt.Errorf("clear set %d: %w", slot, err)
	}
	s.dead[s.take(slot)] = true
	s.free(slot)
	return nil
}
