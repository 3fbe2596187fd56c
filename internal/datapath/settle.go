package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"weftnet.io/weftnet/internal/datapath/shelf"
)

// settle pins what was made, in the place of what programs have used so far, once all programs are loaded. Entries are copied
// right before: they change while programs are loaded. If it fails, every pin is what it was. After it, an agent that finds
// these pins takes the entries of both maps, whichever of them the programs on devices use.
func (d *Datapath) settle() (err error) {
	if err := d.pruneLayouts(); err != nil {
		return err
	}
	for _, g := range d.migrations {
		if err := g.rows.First(); err != nil {
			return fmt.Errorf("move entries of map %s into its new shape: %w", g.name, err)
		}
		if n := g.rows.Left(); n > 0 && slices.Contains(written, g.name) {
			return fmt.Errorf("move entries of map %s into one of %d: %d of them do not fit, and no policy may be left out", g.name, d.maps[g.name].MaxEntries(), n)
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

// settled follows the pins that settle has put elsewhere, and takes those away that cannot be read.
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
