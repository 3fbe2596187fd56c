package datapath

import (
	"errors"
	"fmt"
	"maps"
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

// resizes tells whether Reload gives a map of this name another size. The others have the one that they were compiled with.
func resizes(name string) bool {
	return slices.Contains(learnt, name) || slices.Contains(written, name)
}

// migration moves the entries of a map into one of another shape.
type migration struct {
	name, pin string // pin: the path of old
	old       *ebpf.Map
	held      *ebpf.Map // what this Datapath has held of old; nil: it was an earlier agent's
	rows      *layout.Copy
	back      *layout.Back // to old; of maps that the agent writes
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
		have, told := layout.For(m, known)
		if have.Equal(want) || told && slices.Contains(written, name) {
			if why := needed(m, name, spec); why != "" {
				d.keep(name, m, spec, why)
			}
		}
		if spec.Compatible(m) == nil && (have.Equal(want) || !told && len(shelf.PutAside(path)) == 0) {
			d.maps[name] = m
		}
	}
	if d.maps[name] == nil {
		if err := d.replaceMap(name, path, m, spec, known); err != nil {
			return err
		}
	}
	known[layout.IDOf(d.maps[name])] = want
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

// replaceMap makes a map that is filled from a former one. If the kernel does not make it, and they would differ in nothing but
// size, the former one stays.
func (d *Datapath) replaceMap(name, path string, m *ebpf.Map, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	err := d.make(name, spec)
	if err == nil {
		return d.migrate(name, path, m, spec, known)
	}
	if m != nil && layout.SameButSize(m, spec) {
		if have, _ := layout.For(m, known); have.Equal(layout.Of(spec)) {
			d.keep(name, m, spec, err.Error())
			d.maps[name] = m
			return nil
		}
	}
	return errors.Join(err, closed(m))
}

// keep leaves a map as large as it is, and says why.
func (d *Datapath) keep(name string, m *ebpf.Map, spec *ebpf.MapSpec, why string) {
	spec.MaxEntries = m.MaxEntries()
	d.kept[name] = why
}

// Kept says of each map that has not the size that is asked for what keeps it from that.
func (d *Datapath) Kept() map[string]string {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return maps.Clone(d.kept)
}

// needed says why a map is left as large as it is, if so: it differs in nothing else, and what it holds would fill more than half
// of the one that is asked for. An entry that does not fit is a connection cut off. Of what the agent writes none may be left
// out, whatever else differs; and as no set may have more than a quarter of a map, none outgrows that because the map shrinks.
func needed(m *ebpf.Map, name string, spec *ebpf.MapSpec) string {
	most, part := spec.MaxEntries/2, "half"
	if slices.Contains(written, name) {
		most, part = spec.MaxEntries/4, "a quarter"
	}
	if !slices.Contains(written, name) && !layout.SameButSize(m, spec) || !layout.Outgrows(m, spec, most) {
		return ""
	}
	return fmt.Sprintf("what it holds would fill more than %s of that", part)
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

// migrate has a map filled from a former one; nil: there is none. What cannot be read goes when the others are pinned.
func (d *Datapath) migrate(name, pin string, old *ebpf.Map, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	if old == nil {
		return nil
	}
	have, told := layout.For(old, known)
	want := layout.Of(spec)
	g := &migration{name: name, pin: pin, old: old, rows: layout.NewCopy(old, have, d.maps[name], want), back: layout.NewBack(old, want, have)}
	if !told || !layout.Moveable(spec.Type) || !layout.Moveable(old.Type()) {
		// An agent that died here made it, or one that told nothing.
		d.renewed, d.unread = append(d.renewed, name), append(d.unread, g)
		return nil
	}
	d.migrations = append(d.migrations, g)
	return nil
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
		if !slices.Contains(learnt, g.name) {
			continue // the agent writes both
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
	for _, g := range migrations {
		if n := g.rows.Left(); n > 0 {
			d.lost[g.name] += n
		}
	}
	d.swap.Unlock()
	for _, g := range migrations {
		g.close()
	}
	d.swap.RLock()
	defer d.swap.RUnlock()
	return true, sweep.Recount(d.maps)
}

// Lost counts, by map, the entries that were not moved since the map in which they belong was full.
func (d *Datapath) Lost() map[string]int {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return maps.Clone(d.lost)
}

func closed(m *ebpf.Map) error {
	if m == nil {
		return nil
	}
	return m.Close()
}

// pruneLayouts forgets the shapes of maps that are gone.
func (d *Datapath) pruneLayouts() error {
	there := slices.Collect(maps.Values(d.maps))
	for _, g := range slices.Concat(d.migrations, d.unread) {
		there = append(there, g.old)
	}
	return layout.Prune(d.dir, there)
}
