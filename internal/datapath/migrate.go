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

// resizes tells whether Reload may give a map of this name another size. Others keep the size that they were compiled with.
func resizes(name string) bool {
	return slices.Contains(learnt, name) || slices.Contains(written, name)
}

// migration moves the entries of a map into one of another shape.
type migration struct {
	name, pin string // pin: the path of old
	old       *ebpf.Map
	held      *ebpf.Map // this Datapath's own handle of old, to be closed with it; nil: old is an earlier agent's
	rows      *layout.Copy
	back      *layout.Back // to old; of maps that the agent writes
}

// take puts the pinned map of this name and shape into d.maps, or makes one, which settle pins. Until then a pinned map of another
// shape stays where it is.
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

// replaceMap makes a map and has it filled from a former one. If the kernel cannot make it, and only the size would be another, the
// former one stays in use.
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

// Kept says, by map that has another size than is asked for, why.
func (d *Datapath) Kept() map[string]string {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return maps.Clone(d.kept)
}

// needed says why a map keeps its size; empty: it need not. One that programs write keeps it if nothing but the size would change and what
// it holds would fill more than half of that: an entry that does not fit is a connection cut off. One that the agent writes keeps it whatever
// its shape: no entry may be left out; one of policies from a quarter on, since a set may have as much of a map.
func needed(m *ebpf.Map, name string, spec *ebpf.MapSpec) string {
	most, part := spec.MaxEntries/2, "half"
	if slices.Contains(ofPolicies, name) {
		most, part = spec.MaxEntries/4, "a quarter"
	}
	if !slices.Contains(written, name) && !layout.SameButSize(m, spec) || !layout.Outgrows(m, spec, most) {
		return ""
	}
	return fmt.Sprintf("what it holds would fill more than %s of that", part)
}

// make makes a map, without a pin: settle pins it once all programs are loaded.
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

// migrate has a map filled from a former one, `old`; nil: there is none. One whose shape is not known is removed by settle.
func (d *Datapath) migrate(name, pin string, old *ebpf.Map, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	if old == nil {
		return nil
	}
	have, told := layout.For(old, known)
	want := layout.Of(spec)
	g := &migration{name: name, pin: pin, old: old, rows: layout.NewCopy(old, have, d.maps[name], want), back: layout.NewBack(old, want, have)}
	if !told || !layout.Moveable(spec.Type) || !layout.Moveable(old.Type()) {
		// Its agent died before it had noted the shape, or was of a version that noted none.
		d.renewed, d.unread = append(d.renewed, name), append(d.unread, g)
		return nil
	}
	d.migrations = append(d.migrations, g)
	return nil
}

// Moves gets a value when entries begin to move. Call Follow then.
func (d *Datapath) Moves() <-chan struct{} { return d.moves }

func (d *Datapath) tellMoves() {
	if len(d.migrations) > 0 {
		select {
		case d.moves <- struct{}{}:
		default:
		}
	}
}

// Moving names the maps that have a former one beside them, whose entries are still moved.
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

// Follow copies into the new maps what former programs have written since the last call. Once none of these programs is attached, and
// the last entries are copied, it removes the former maps and returns true. Call it until it does.
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
	if err := learn(migrations); err != nil || !over {
		return false, err
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

// learn copies what former programs have written since the last call.
func learn(migrations []*migration) error {
	for _, g := range migrations {
		if !slices.Contains(learnt, g.name) {
			continue // the agent writes both
		}
		if err := g.rows.Next(); err != nil {
			return fmt.Errorf("move entries of the former map %s into the new one: %w", g.name, err)
		}
	}
	return nil
}

// learn is the same between two calls of Follow.
func (d *Datapath) learn() error {
	d.following.Lock()
	defer d.following.Unlock()
	d.swap.RLock()
	migrations := d.migrations
	d.swap.RUnlock()
	if d.closed {
		return nil
	}
	return learn(migrations)
}

// Lost counts, by map, the entries that were not moved because the new map was full.
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
