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

	"weftnet.io/weftnet/internal/datapath/layout"
)

// layouts is the pinned map that tells the shape of every pinned map to the next agent: JSON, by the kernel's number of
// the map, ended by a zero byte. The kernel knows shapes too, but tells them to nobody without CAP_SYS_ADMIN.
const (
	layoutsName = "layouts"
	layoutsSize = 64 << 10
)

func openLayouts(dir string) (*ebpf.Map, map[ebpf.MapID]layout.Layout, error) {
	path := filepath.Join(dir, layoutsName)
	known := map[ebpf.MapID]layout.Layout{}
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
			return m, map[ebpf.MapID]layout.Layout{}, nil // as if an agent had been here that wrote none
		}
	}
	return m, known, nil
}

func writeLayouts(m *ebpf.Map, known map[ebpf.MapID]layout.Layout) error {
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
	kept := map[ebpf.MapID]layout.Layout{}
	keep := func(m *ebpf.Map) {
		if l, ok := layoutFor(m, known); ok {
			kept[idOf(m)] = l
		}
	}
	for _, m := range d.maps {
		keep(m)
	}
	for _, g := range slices.Concat(d.migrations, d.unread) {
		keep(g.old)
	}
	return writeLayouts(list, kept)
}
