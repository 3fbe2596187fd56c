package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"weftnet.io/weftnet/internal/datapath/shelf"
)

// settle pins the maps that were made, once all programs are loaded; the pins of former maps are renamed. Entries are copied right before
// that, since they change while programs are loaded. If it fails, every pin is what it was. If the agent dies after it, the next one
// finds both pins and moves the entries, whichever map the programs on devices use.
func (d *Datapath) settle() (err error) {
	if err := d.pruneLayouts(); err != nil {
		return err
	}
	for _, g := range d.migrations {
		if err := g.rows.First(); err != nil {
			return fmt.Errorf("move entries of the former map %s into the new one: %w", g.name, err)
		}
		if n := g.rows.Left(); n > 0 && slices.Contains(written, g.name) {
			return fmt.Errorf("move entries of map %s into one of %d: %d of them do not fit, and none may be left out", g.name, d.maps[g.name].MaxEntries(), n)
		}
	}
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for _, f := range slices.Backward(undo) {
			err = errors.Join(err, f())
		}
	}()
	rename := func(from, to string) error {
		if err := os.Rename(from, to); err != nil {
			return fmt.Errorf("put pinned map %s of another shape aside: %w", filepath.Base(from), err)
		}
		undo = append(undo, func() error { return os.Rename(to, from) })
		return nil
	}
	for _, name := range d.unpinned {
		path := filepath.Join(d.dir, name)
		for _, pin := range slices.Backward(shelf.PutAside(path)) {
			if err := rename(pin, pin+shelf.Before); err != nil {
				return err
			}
		}
		if shelf.Exists(path) {
			if err := rename(path, path+shelf.Before); err != nil {
				return err
			}
		}
		if err := d.maps[name].Pin(path); err != nil {
			return fmt.Errorf("pin map %s: %w", name, err)
		}
		undo = append(undo, func() error { return os.Remove(path) })
	}
	d.settled()
	return nil
}

// settled notes the new names of pins that settle has renamed, and removes former maps whose shape is not known.
func (d *Datapath) settled() {
	for _, g := range slices.Concat(d.migrations, d.unread) {
		if slices.Contains(d.unpinned, g.name) {
			g.pin += shelf.Before
		}
	}
	for _, g := range d.unread {
		_ = os.Remove(g.pin) // if it stays, the next agent finds it unreadable, too
		g.close()
	}
	d.unpinned, d.unread = nil, nil
}
