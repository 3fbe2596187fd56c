package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/shelf"
	"weftnet.io/weftnet/internal/datapath/sweep"
)

// former are the names that maps had in earlier versions.
var former = map[string]string{"ipcache": "hosts", "quota": "shares"}

// learnt are the maps that programs write: while the former programs run, they go on writing into the former maps.
var learnt = append([]string{"affinities"}, sweep.Tables...)

// Resizes tells whether Reload gives a map of this name another size. The others get theirs from Open.
func Resizes(name string) bool { return slices.Contains(learnt, name) }

// migration moves the entries of a map into one of another shape.
type migration struct {
	name, pin string // pin: the path of old
	old       *ebpf.Map
	held      *ebpf.Map // what this Datapath has held of old; nil: it was an earlier agent's
	rows      *layout.Copy
}

// take gives the pinned map of this name and shape, or makes one, which settle pins. One of another shape is left where it is
// until then.
func (d *Datapath) take(name string, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	path, want := filepath.Join(d.dir, name), layout.Of(spec)
	if was, known := former[name]; known {
		if err := shelf.Rename(filepath.Join(d.dir, was), path); err != nil {
			return err
		}
	}
	if err := shelf.CloseRanks(path); err != nil {
		return err
	}
	m, err := shelf.Load(path)
	if err != nil {
		return err
	}
	if m != nil {
		have, told := layoutFor(m, known)
		if have.Equal(want) && needed(m, spec) {
			spec.MaxEntries = m.MaxEntries()
		}
		if compatible(spec, m) && (have.Equal(want) || !told && len(shelf.PutAside(path)) == 0) {
			d.maps[name] = m
		}
	}
	if d.maps[name] == nil {
		if err := d.make(name, spec); err != nil {
			return errors.Join(err, closed(m))
		}
		if err := d.migrate(name, path, m, spec, known); err != nil {
			return err
		}
	}
	known[idOf(d.maps[name])] = want
	for _, pin := range shelf.PutAside(path) {
		old, err := shelf.Load(pin)
		if err != nil {
			return err
		}
		if err := d.migrate(name, pin, old, spec, known); err != nil {
			return err
		}
	}
	return nil
}

// needed tells whether a map is left as large as it is: it differs in nothing else, and what it holds would fill more than
// half of the one that is asked for. An entry that does not fit is a connection cut off.
func needed(m *ebpf.Map, spec *ebpf.MapSpec) bool {
	same := spec.Copy()
	same.MaxEntries = m.MaxEntries()
	if m.MaxEntries() <= spec.MaxEntries || spec.Type == ebpf.Array || !moveable(spec.Type) || !compatible(same, m) {
		return false
	}
	key, value := make([]byte, m.KeySize()), make([]byte, m.ValueSize())
	n := uint32(0)
	for list := m.Iterate(); n <= spec.MaxEntries/2 && list.Next(&key, &value); n++ {
	}
	return n > spec.MaxEntries/2
}

// make makes a map that nothing finds before settle pins it.
func (d *Datapath) make(name string, spec *ebpf.MapSpec) error {
	spec = spec.Copy()
	spec.Pinning = ebpf.PinNone
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return fmt.Errorf("make map %s: %w", name, err)
	}
	d.maps[name] = m
	d.unpinned = append(d.unpinned, name)
	return nil
}

// migrate has a map filled from a former one; nil: there is none. What nobody can read goes when the others are pinned.
func (d *Datapath) migrate(name, pin string, old *ebpf.Map, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	if old == nil {
		return nil
	}
	have, told := layoutFor(old, known)
	g := &migration{name: name, pin: pin, old: old, rows: layout.NewCopy(old, have, d.maps[name], layout.Of(spec))}
	if !told || !moveable(spec.Type) || !moveable(old.Type()) {
		// An agent that died here made it, or one that told nothing.
		d.renewed, d.unread = append(d.renewed, name), append(d.unread, g)
		return nil
	}
	d.migrations = append(d.migrations, g)
	return nil
}

// moveable tells whether entries of such a map can be read and written one by one, and are worth it.
func moveable(t ebpf.MapType) bool {
	switch t {
	case ebpf.Hash, ebpf.LRUHash, ebpf.Array, ebpf.LPMTrie:
		return true
	default:
		return false // counters begin again, rings are empty
	}
}

// Moves has one when entries begin to move. Follow them then.
func (d *Datapath) Moves() <-chan struct{} { return d.moves }

func (d *Datapath) tellMoves() {
	if len(d.migrations) > 0 {
		select {
		case d.moves <- struct{}{}:
		default:
		}
	}
}

// Moving names the maps whose former shape is still written by former programs.
func (d *Datapath) Moving() []string {
	d.swap.RLock()
	defer d.swap.RUnlock()
	var names []string
	for _, g := range d.migrations {
		names = append(names, g.name)
	}
	return names
}

func (g *migration) close() {
	g.old.Close()
	if g.held != nil {
		g.held.Close()
	}
}

// Follow copies what former programs have learnt since into the new maps. Once none of them is attached any
// more, and it has copied the last of it, it takes the former maps away and returns true. Call it until it does.
func (d *Datapath) Follow() (done bool, err error) {
	d.following.Lock()
	defer d.following.Unlock()
	if d.closed {
		return false, nil // the next agent finds the pins of what is left
	}
	d.swap.RLock()
	migrations := d.migrations // nothing is exchanged while there are any
	d.swap.RUnlock()
	if len(migrations) == 0 {
		return true, nil
	}
	attached, err := d.Attachments()
	if err != nil {
		return false, err
	}
	over := !slices.ContainsFunc(attached, func(a Attachment) bool { return !a.Current })
	for _, g := range migrations {
		if !Resizes(g.name) {
			continue // the agent's own tables are moved once
		}
		if err := g.rows.Next(); err != nil {
			return false, fmt.Errorf("move entries of map %s into its new shape: %w", g.name, err)
		}
	}
	if !over {
		return false, nil
	}
	for _, g := range migrations {
		if err := os.Remove(g.pin); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("take away former map %s: %w", g.name, err)
		}
	}
	d.swap.Lock()
	d.migrations = nil
	d.swap.Unlock()
	for _, g := range migrations {
		g.close()
	}
	d.swap.RLock()
	defer d.swap.RUnlock()
	return true, sweep.Recount(d.maps)
}

func closed(m *ebpf.Map) error {
	if m == nil {
		return nil
	}
	return m.Close()
}

func compatible(spec *ebpf.MapSpec, m *ebpf.Map) bool { return spec.Compatible(m) == nil }

// idOf is the kernel's number of a map; 0 when it does not tell.
func idOf(m *ebpf.Map) ebpf.MapID {
	info, err := m.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}

func layoutFor(m *ebpf.Map, known map[ebpf.MapID]layout.Layout) (layout.Layout, bool) {
	l, ok := known[idOf(m)]
	return l, ok
}
