package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/sweep"
)

// before is what the pin of a map of an earlier shape is called, while its entries move.
const before = "~before"

// former are the names that maps had in earlier versions.
var former = map[string]string{"ipcache": "hosts", "quota": "shares"}

// learnt are the maps that programs write: while the former programs run, they go on writing into the former maps.
var learnt = append([]string{"affinities"}, sweep.Tables...)

// Resizes tells whether Reload gives a map of this name another size. The others get theirs from Open.
func Resizes(name string) bool { return slices.Contains(learnt, name) }

// migration moves the entries of a map into one of another shape.
type migration struct {
	name       string
	old, now   *ebpf.Map
	held       *ebpf.Map // what this Datapath has held of old; nil: it was an earlier agent's
	key, value []layout.Move
	moved      map[string]bool // keys of old; nil: the agent's own tables, which are moved once
}

// rename pins a map of an earlier version under its name of now, and what was left of a move with it: the programs that use it
// do not ask for its name again.
func (d *Datapath) rename(name string) error {
	was, known := former[name]
	if !known {
		return nil
	}
	for _, suffix := range []string{"", before} {
		from, to := filepath.Join(d.dir, was+suffix), filepath.Join(d.dir, name+suffix)
		if exists(to) {
			continue // an agent of this version has been here
		}
		if err := os.Rename(from, to); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("pin map %s as %s: %w", was, name, err)
		}
	}
	return nil
}

// take gives the pinned map of this name and shape, or makes one. A map of another shape stays beside it, until all its
// entries are moved.
func (d *Datapath) take(name string, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	if err := d.rename(name); err != nil {
		return err
	}
	path, want := filepath.Join(d.dir, name), layout.Of(spec)
	m, err := loadPinned(path)
	if err != nil {
		return err
	}
	if m != nil {
		have, told := layoutFor(m, known)
		if have.Equal(want) && needed(m, spec) {
			spec.MaxEntries = m.MaxEntries()
		}
		switch {
		case compatible(spec, m) && (have.Equal(want) || !told && !exists(path+before)):
			d.maps[name] = m
			known[idOf(m)] = want
		case !told:
			// Nobody can tell what is in it: an agent that died here made it, or one that told nothing.
			err = os.Remove(path)
			d.renewed = append(d.renewed, name)
		default:
			err = os.Rename(path, path+before)
		}
		if err != nil {
			return fmt.Errorf("put pinned map %s of another shape aside: %w", name, err)
		}
	}
	if d.maps[name] == nil {
		if err := d.make(name, path, spec); err != nil {
			return err
		}
		known[idOf(d.maps[name])] = want
	}
	return d.migrate(name, spec, known)
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

func (d *Datapath) make(name, path string, spec *ebpf.MapSpec) error {
	spec = spec.Copy()
	spec.Pinning = ebpf.PinNone
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return fmt.Errorf("make map %s: %w", name, err)
	}
	if err := m.Pin(path); err != nil {
		m.Close()
		return fmt.Errorf("pin map %s: %w", name, err)
	}
	d.maps[name] = m
	return nil
}

// migrate fills a map from one of an earlier shape, where there is one.
func (d *Datapath) migrate(name string, spec *ebpf.MapSpec, known map[ebpf.MapID]layout.Layout) error {
	path := filepath.Join(d.dir, name+before)
	old, err := loadPinned(path)
	if old == nil {
		return err
	}
	have, told := layoutFor(old, known)
	want := layout.Of(spec)
	if !told || !moveable(spec.Type) || !moveable(old.Type()) {
		old.Close()
		d.renewed = append(d.renewed, name)
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("take away former map %s: %w", name, err)
		}
		return nil
	}
	g := &migration{name: name, old: old, now: d.maps[name], key: layout.Moves(have.Key, want.Key), value: layout.Moves(have.Value, want.Value)}
	if Resizes(name) {
		g.moved = map[string]bool{}
	}
	// An agent that died over this may have moved them already, and programs gone on with them.
	how := ebpf.UpdateNoExist
	if spec.Type == ebpf.Array {
		how = ebpf.UpdateAny // its entries are always there
	}
	if err := g.move(how); err != nil {
		return err
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

// move copies what was not copied yet. What a former program has learnt since wins: it saw the connection first.
func (g *migration) move(how ebpf.MapUpdateFlags) error {
	from := struct{ key, value []byte }{make([]byte, g.old.KeySize()), make([]byte, g.old.ValueSize())}
	key, value := make([]byte, g.now.KeySize()), make([]byte, g.now.ValueSize())
	list := g.old.Iterate()
	for list.Next(&from.key, &from.value) {
		if g.moved[string(from.key)] {
			continue
		}
		layout.Apply(g.key, from.key, key)
		layout.Apply(g.value, from.value, value)
		if err := g.now.Update(key, value, how); err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
			return fmt.Errorf("move entries of map %s into its new shape: %w", g.name, err)
		}
		if g.moved != nil {
			g.moved[string(from.key)] = true
		}
	}
	// A hash that changes while it is read may end early: what was missed comes with the next round.
	if err := list.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read former map %s: %w", g.name, err)
	}
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
		if g.moved == nil {
			continue
		}
		if err := g.move(ebpf.UpdateAny); err != nil {
			return false, err
		}
	}
	if !over {
		return false, nil
	}
	for _, g := range migrations {
		if err := os.Remove(filepath.Join(d.dir, g.name+before)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("take away former map %s: %w", g.name, err)
		}
		g.close()
	}
	d.swap.Lock()
	d.migrations = nil
	d.swap.Unlock()
	d.swap.RLock()
	defer d.swap.RUnlock()
	return true, sweep.Recount(d.maps)
}

func loadPinned(path string) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open pinned map %s: %w", filepath.Base(path), err)
	}
	return m, nil
}

func compatible(spec *ebpf.MapSpec, m *ebpf.Map) bool { return spec.Compatible(m) == nil }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

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
