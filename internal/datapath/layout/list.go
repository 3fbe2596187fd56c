package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// List is the pinned map that tells the shape of every pinned map to the next agent: JSON, by the kernel's number of the map,
// ended by a zero byte. The kernel knows shapes too, but tells them only to programs with CAP_SYS_ADMIN.
type List struct{ m *ebpf.Map }

const (
	listName = "layouts"
	listSize = 64 << 10
)

// OpenList opens or makes the list of a directory of pins, and gives what is on it.
func OpenList(dir string) (List, map[ebpf.MapID]Layout, error) {
	path := filepath.Join(dir, listName)
	known := map[ebpf.MapID]Layout{}
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		m, err = ebpf.NewMap(&ebpf.MapSpec{Name: listName, Type: ebpf.Array, KeySize: 4, ValueSize: listSize, MaxEntries: 1})
		if err == nil {
			err = m.Pin(path)
		}
	}
	if err != nil {
		return List{}, nil, fmt.Errorf("open map %s: %w", listName, err)
	}
	text := make([]byte, m.ValueSize())
	if err := m.Lookup(uint32(0), &text); err != nil {
		m.Close()
		return List{}, nil, fmt.Errorf("read map %s: %w", listName, err)
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	if len(text) > 0 {
		if err := json.Unmarshal(text, &known); err != nil {
			return List{m}, map[ebpf.MapID]Layout{}, nil // as if an agent had been here that wrote none
		}
	}
	return List{m}, known, nil
}

// Close lets go of it.
func (l List) Close() { l.m.Close() }

// Write says of each map what its shape is.
func (l List) Write(known map[ebpf.MapID]Layout) error {
	text, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("write map %s: %w", listName, err)
	}
	value := make([]byte, l.m.ValueSize())
	if copy(value, text) < len(text) || len(text) == len(value) {
		return fmt.Errorf("write map %s: %d bytes do not fit into %d", listName, len(text), len(value))
	}
	if err := l.m.Put(uint32(0), value); err != nil {
		return fmt.Errorf("write map %s: %w", listName, err)
	}
	return nil
}

// Prune forgets the shapes of all maps but these.
func Prune(dir string, there []*ebpf.Map) error {
	list, known, err := OpenList(dir)
	if err != nil {
		return err
	}
	defer list.Close()
	kept := map[ebpf.MapID]Layout{}
	for _, m := range there {
		if l, ok := For(m, known); ok {
			kept[IDOf(m)] = l
		}
	}
	return list.Write(kept)
}

// For is the shape of a map, if it is known.
func For(m *ebpf.Map, known map[ebpf.MapID]Layout) (Layout, bool) {
	l, ok := known[IDOf(m)]
	return l, ok
}

// IDOf is the kernel's number of a map; 0 when it does not tell.
func IDOf(m *ebpf.Map) ebpf.MapID {
	info, err := m.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}
