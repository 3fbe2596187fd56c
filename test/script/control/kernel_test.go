package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var errFake = errors.New("device or resource busy (this is a test)")

// store is what a sink has put somewhere. It survives the agent.
type store[R state.Row] struct {
	key func(R) state.Key

	mu   sync.Mutex
	rows map[state.Key]R
}

func newStore[R state.Row](t *state.Table[R]) *store[R] {
	return &store[R]{key: t.Key, rows: map[state.Key]R{}}
}

func (s *store[R]) all() []R {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.rows))
}

func (s *store[R]) print() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	var zero R
	fmt.Fprintln(w, strings.Join(zero.Header(), "\t"))
	for _, k := range slices.Sorted(maps.Keys(s.rows)) {
		fmt.Fprintln(w, strings.Join(s.rows[k].Row(), "\t"))
	}
	w.Flush()
	return text.String()
}

// fake is a sink whose calls fail now and then.
type fake[R state.Row] struct {
	*store[R]
	life   *life
	fails  func() bool
	keep   func(R) bool // tells what must not go yet; nil: nothing
	done   func(*life, R) error
	undone func(*life, R) error
}

// Dump is part of reconcile.Sink.
func (f fake[R]) Dump(context.Context) (iter.Seq2[state.Key, R], error) {
	if f.fails() {
		return nil, errFake
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.All(maps.Clone(f.rows)), nil
}

// Set is part of reconcile.Sink.
func (f fake[R]) Set(_ context.Context, rows []R) error {
	return f.each(rows, func(k state.Key, r R) error {
		f.mu.Lock()
		f.rows[k] = r
		f.mu.Unlock()
		if f.done == nil {
			return nil
		}
		return f.done(f.life, r)
	})
}

// Unset is part of reconcile.Sink.
func (f fake[R]) Unset(_ context.Context, rows []R) error {
	return f.each(rows, func(k state.Key, r R) error {
		if f.keep != nil && f.keep(r) {
			return errors.New("it is still in service")
		}
		f.mu.Lock()
		delete(f.rows, k)
		f.mu.Unlock()
		if f.undone == nil {
			return nil
		}
		return f.undone(f.life, r)
	})
}

func (f fake[R]) each(rows []R, do func(state.Key, R) error) error {
	var errs []error
	for _, r := range rows {
		k := f.key(r)
		err := errFake
		if !f.fails() {
			err = do(k, r)
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: k, Err: err})
		}
	}
	return errors.Join(errs...)
}

// kernel is what a node's kernel holds.
type kernel struct {
	links     *store[table.Link]
	tunnels   *store[table.Tunnel]
	routes    *store[table.Route]
	ipcache   *store[table.IPCacheRow]
	frontends *store[table.Frontend]
	nics      *store[table.NIC]
	hooks     *store[table.Hook]

	mu      sync.Mutex
	indexes map[string]int // of devices that there are
	last    int
}

func newKernel() *kernel {
	t, _ := table.New()
	return &kernel{
		links: newStore(t.Links), tunnels: newStore(t.Tunnels), routes: newStore(t.Routes), ipcache: newStore(t.IPCache),
		frontends: newStore(t.Frontends), nics: newStore(t.NICs), hooks: newStore(t.Hooks),
		indexes: map[string]int{"eth0": 2}, last: 2,
	}
}

func (k *kernel) print(name string) (string, error) {
	for at, print := range map[string]func() string{
		"links": k.links.print, "tunnels": k.tunnels.print, "routes": k.routes.print, "ipcache": k.ipcache.print,
		"frontends": k.frontends.print, "nics": k.nics.print, "hooks": k.hooks.print,
	} {
		if at == name {
			return print(), nil
		}
	}
	return "", fmt.Errorf("the kernel has no %s", name)
}

// devices lists those that there are.
func (k *kernel) devices() []table.Device {
	list := []table.Device{{Index: 2, Name: "eth0", MTU: 1500, Up: true, Addresses: underlay, Default: true}}
	k.links.mu.Lock()
	defer k.links.mu.Unlock()
	for _, l := range k.links.rows {
		list = append(list, k.device(l))
	}
	k.tunnels.mu.Lock()
	defer k.tunnels.mu.Unlock()
	for _, t := range k.tunnels.rows {
		list = append(list, k.tunnel(t))
	}
	return list
}

func (k *kernel) index(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.indexes[name]; !ok {
		k.last++
		k.indexes[name] = k.last
	}
	return k.indexes[name]
}

func (k *kernel) device(l table.Link) table.Device {
	return table.Device{Index: k.index(l.HostName), Name: l.HostName, Kind: "veth", MAC: l.HostMAC, MTU: l.MTU, Up: true}
}

func (k *kernel) tunnel(t table.Tunnel) table.Device {
	return table.Device{Index: k.index(t.Name), Name: t.Name, Kind: t.Kind, MTU: t.MTU, Up: true}
}

func (k *kernel) appears(l *life, link table.Link) error { return l.see(k.device(link)) }

func (k *kernel) disappears(l *life, link table.Link) error { return k.forget(l, link.HostName) }

func (k *kernel) tunnelAppears(l *life, t table.Tunnel) error { return l.see(k.tunnel(t)) }

func (k *kernel) tunnelDisappears(l *life, t table.Tunnel) error { return k.forget(l, t.Name) }

func (l *life) see(d table.Device) error {
	return l.db.Write(func(tx *state.Tx) error { l.Devices.Put(tx, d); return nil })
}

// forget lets a device go; its routes go with it, as in the real kernel.
func (k *kernel) forget(l *life, name string) error {
	index := k.index(name)
	k.mu.Lock()
	delete(k.indexes, name)
	k.mu.Unlock()
	return l.db.Write(func(tx *state.Tx) error { l.Devices.Delete(tx, state.Join(uint32(index))); return nil })
}

// serves tells whether a device has a NIC row.
func (k *kernel) serves(index int) bool {
	k.nics.mu.Lock()
	defer k.nics.mu.Unlock()
	_, ok := k.nics.rows[state.Join(uint32(index))]
	return ok
}
