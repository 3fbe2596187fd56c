package datapath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// field is one member of a key or value that holds bytes: where it stands, and by which name. A member of a member has
// both names, with a point between.
type field struct {
	Name   string `json:"n"`
	Offset uint32 `json:"o"` // bytes
	Size   uint32 `json:"s"` // bytes
}

// layout is the shape of a map's entries.
type layout struct {
	Key   []field `json:"k"`
	Value []field `json:"v"`
}

func (l layout) equal(other layout) bool {
	return slices.Equal(l.Key, other.Key) && slices.Equal(l.Value, other.Value)
}

// layoutOf reads the shape of a map's entries out of the types it was compiled with.
func layoutOf(m *ebpf.MapSpec) layout {
	return layout{Key: fields(nil, "", 0, m.Key), Value: fields(nil, "", 0, m.Value)}
}

func fields(list []field, name string, offset uint32, t btf.Type) []field {
	if t == nil {
		return list
	}
	s, ok := btf.UnderlyingType(t).(*btf.Struct)
	if !ok {
		size, err := btf.Sizeof(t)
		if err != nil {
			return list // a type without a size holds nothing
		}
		return append(list, field{name, offset, uint32(size)})
	}
	for _, m := range s.Members {
		inner := m.Name
		if name != "" {
			inner = name + "." + m.Name
		}
		list = fields(list, inner, offset+m.Offset.Bytes(), m.Type)
	}
	return list
}

// move is a run of bytes that two layouts have in common.
type move struct{ from, to, size uint32 }

// moves are what to copy of one layout for another: the fields that have the same name, as many bytes as both have.
// Numbers are little-endian, so one that grew keeps its value.
func moves(from, to []field) []move {
	var list []move
	for _, f := range from {
		at := slices.IndexFunc(to, func(t field) bool { return t.Name == f.Name })
		if at >= 0 {
			list = append(list, move{f.Offset, to[at].Offset, min(f.Size, to[at].Size)})
		}
	}
	return list
}

func apply(list []move, from, to []byte) {
	clear(to)
	for _, m := range list {
		copy(to[m.to:m.to+m.size], from[m.from:m.from+m.size])
	}
}

// layouts is the pinned map that tells the shape of every pinned map to the next agent: JSON, by the kernel's number of
// the map, ended by a zero byte. The kernel knows shapes too, but tells them to nobody without CAP_SYS_ADMIN.
const (
	layoutsName = "layouts"
	layoutsSize = 64 << 10
)

func openLayouts(dir string) (*ebpf.Map, map[ebpf.MapID]layout, error) {
	path := filepath.Join(dir, layoutsName)
	known := map[ebpf.MapID]layout{}
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		m, err = ebpf.NewMap(&ebpf.MapSpec{Name: layoutsName, Type: ebpf.Array, KeySize: 4, ValueSize: layoutsSize, MaxEntries: 1})
		if err == nil {
			err = m.Pin(path)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open map %s: %w", layoutsName, err)
	}
	text := make([]byte, m.ValueSize())
	if err := m.Lookup(uint32(0), &text); err != nil {
		m.Close()
		return nil, nil, fmt.Errorf("read map %s: %w", layoutsName, err)
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	if len(text) > 0 {
		if err := json.Unmarshal(text, &known); err != nil {
			return m, map[ebpf.MapID]layout{}, nil // as if an agent had been here that wrote none
		}
	}
	return m, known, nil
}

func writeLayouts(m *ebpf.Map, known map[ebpf.MapID]layout) error {
	text, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("write map %s: %w", layoutsName, err)
	}
	value := make([]byte, m.ValueSize())
	if copy(value, text) < len(text) || len(text) == len(value) {
		return fmt.Errorf("write map %s: %d bytes do not fit into %d", layoutsName, len(text), len(value))
	}
	if err := m.Put(uint32(0), value); err != nil {
		return fmt.Errorf("write map %s: %w", layoutsName, err)
	}
	return nil
}

// pruneLayouts forgets the shapes of maps that are gone.
func (d *Datapath) pruneLayouts() error {
	list, known, err := openLayouts(d.dir)
	if err != nil {
		return err
	}
	defer list.Close()
	kept := map[ebpf.MapID]layout{}
	keep := func(m *ebpf.Map) {
		if l, ok := layoutFor(m, known); ok {
			kept[idOf(m)] = l
		}
	}
	for _, m := range d.maps {
		keep(m)
	}
	for _, g := range d.migrations {
		keep(g.old)
	}
	return writeLayouts(list, kept)
}
