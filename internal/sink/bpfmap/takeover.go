package bpfmap

import (
	"fmt"
	"hash/fnv"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/table"
)

// takeover is what an earlier agent left in map sets. NICs name a set by its index, so a set of this agent takes the index that
// the earlier agent gave it: its NICs are under this agent's policy as soon as that is in force, not once their rows are written.
type takeover struct {
	left    map[uint32]abi.Set // by index: those that no set of this agent has taken yet
	indexes map[owner]uint32   // the same, by what they are for
	retired map[uint32]bool    // generations that this agent's have replaced: their entries are to be removed
}

// owner is what a set is for, as map sets has it.
type owner struct{ identity, ports uint32 }

func ownerOf(row table.PolicySet) owner {
	h := fnv.New32a()
	_, _ = h.Write([]byte(row.NamedPorts))
	return owner{uint32(row.Identity), h.Sum32()}
}

// leave notes a set of an earlier agent.
func (t *takeover) leave(index uint32, v abi.Set) {
	t.left[index] = v
	t.indexes[owner{v.Identity, v.Ports}] = index
}

// take makes an index this agent's.
func (t *takeover) take(index uint32) (generation uint32) {
	v := t.left[index]
	delete(t.left, index)
	delete(t.indexes, owner{v.Identity, v.Ports})
	return uint32(v.Generation)
}

// leftover is the row under which Dump shows a set that an earlier agent left, so that it is removed in time.
func leftover(index uint32) table.PolicySet {
	return table.PolicySet{NamedPorts: fmt.Sprintf("index %d of an earlier agent", index)}
}

// indexOf is the index of a leftover, 0 of any other row: no set has that.
func indexOf(r table.PolicySet) (index uint32) {
	_, _ = fmt.Sscanf(r.NamedPorts, "index %d of", &index)
	return index
}

// begin puts a set in force that this agent has not had yet.
func (s *Sets) begin(row table.PolicySet) (l *liveSet, err error) {
	l = &liveSet{}
	index, inherited := s.indexes[ownerOf(row)]
	if l.index = index; !inherited {
		if l.index, err = s.newIndex(); err != nil {
			return nil, err
		}
	}
	if err := s.replace(l, row); err != nil {
		if !inherited {
			s.free(l.index)
		}
		return nil, err
	}
	if inherited {
		s.retired[s.take(l.index)] = true
	}
	return l, nil
}

// removeRetired removes the entries of generations that this agent's have replaced, all at once: their keys are not known, so the
// map is read through.
func (s *Sets) removeRetired() error {
	if len(s.retired) == 0 {
		return nil
	}
	if err := s.clean(func(generation uint32) bool { return s.retired[generation] }); err != nil {
		return err
	}
	clear(s.retired)
	return nil
}

// sweep removes a set of an earlier agent once no NIC names it.
func (s *Sets) sweep(index uint32, users map[uint32]uint32) error {
	if ifindex, used := users[index]; used {
		return fmt.Errorf("the NIC with device %d still uses it", ifindex)
	}
	if err := s.maps.Put("sets", index, abi.Set{}); err != nil {
		return fmt.Errorf("clear set %d: %w", index, err)
	}
	s.retired[s.take(index)] = true
	s.free(index)
	return nil
}
