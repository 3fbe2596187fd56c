package layout

import "github.com/cilium/ebpf"

// SameButSize tells whether a map differs from what is asked for in nothing but its size.
func SameButSize(m *ebpf.Map, spec *ebpf.MapSpec) bool {
	same := spec.Copy()
	same.MaxEntries = m.MaxEntries()
	return same.Compatible(m) == nil
}

// Outgrows tells whether a map is larger than what is asked for, and holds more than that many entries.
func Outgrows(m *ebpf.Map, spec *ebpf.MapSpec, most uint32) bool {
	if m.MaxEntries() <= spec.MaxEntries || spec.Type == ebpf.Array || !Moveable(spec.Type) {
		return false
	}
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	n := uint32(0)
	for list := m.Iterate(); n <= most && list.Next(&key, &value); n++ {
	}
	return n > most
}

// Moveable tells whether entries of such a map can be read and written one by one, and are worth it.
func Moveable(t ebpf.MapType) bool {
	switch t {
	case ebpf.Hash, ebpf.LRUHash, ebpf.Array, ebpf.LPMTrie:
		return true
	default:
		return false // counters begin again, rings are empty
	}
}
