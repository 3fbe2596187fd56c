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
// ended by a zero byte. The kernel knows shapes too, but tells them to nobody without CAP_SYS_ADMIN.
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
