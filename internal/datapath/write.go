package datapath

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/datapath/layout"
)

// written are the maps of policies and of services, which the agent writes and programs only read. While former programs still read the former
// maps, Put and Delete change these, too: so each packet meets the same policies and services, whichever program it meets.
var (
	written    = slices.Concat(ofPolicies, ofServices)
	ofPolicies = []string{"sets", "policies", "ranges"}
	ofServices = []string{"services", "slots", "backends", "service_sources", "maglev"}
)

// Put writes an entry of one of the maps that the agent writes.
func (d *Datapath) Put(name string, key, value any) error {
	return d.write(name, func(g *migration) error { return g.back.Put(key, value) }, func(m *ebpf.Map) error { return m.Put(key, value) })
}

// PutAll writes entries of one of these maps together, given as slices. If it fails, some of them may be there.
func (d *Datapath) PutAll(name string, keys, values any) error {
	return d.write(name, func(g *migration) error { return g.back.PutAll(keys, values) }, func(m *ebpf.Map) error { return layout.PutAll(m, keys, values) })
}

// Delete removes an entry of one of these maps; ebpf.ErrKeyNotExist: there is none.
func (d *Datapath) Delete(name string, key any) error {
	return d.write(name, func(g *migration) error { return g.back.Delete(key) }, func(m *ebpf.Map) error { return m.Delete(key) })
}

// Read calls do with one of these maps, which stays the one in use meanwhile. do must not call Put, Delete or Read, or all may hang.
func (d *Datapath) Read(name string, do func(m *ebpf.Map) error) error {
	d.writing.RLock()
	defer d.writing.RUnlock()
	return do(d.Map(name))
}

// write changes a map and its former ones, but not while entries are copied from one to the other.
func (d *Datapath) write(name string, before func(*migration) error, now func(*ebpf.Map) error) error {
	d.writing.RLock()
	defer d.writing.RUnlock()
	d.swap.RLock()
	defer d.swap.RUnlock()
	for _, g := range d.migrations {
		if g.name != name {
			continue
		}
		if err := before(g); err != nil {
			return fmt.Errorf("in the former map of this name, which programs on some devices still read: %w", err)
		}
	}
	return now(d.maps[name])
}
