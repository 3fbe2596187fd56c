package lease

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/conflict"
	"weftnet.io/weftnet/internal/sink/link/kept"
	"weftnet.io/weftnet/internal/state"
	table "weftnet.io/weftnet/internal/table/lease"
	"weftnet.io/weftnet/internal/table/network"
)

// Options are what a Keeper works with.
type Options struct {
	DB       *state.DB
	Root     string // prefix of host paths of network namespaces; empty: none
	StateDir string // holds the records
	Log      *slog.Logger

	NICs  NICs
	Probe func() conflict.Mode                                      // how thoroughly is asked whether an address is free; nil: once
	Tell  func(o table.Order, warning bool, reason, message string) // an event about the pod; nil: there is none to tell. It does not block
}

// NICs are told which addresses a NIC has.
type NICs interface {
	Addressed(container, device string, addresses []netip.Prefix, gateways []netip.Addr, dns network.DNS) error
}

// Keeper keeps leases equal to table Orders.
type Keeper struct {
	Options
	records journal.Dir[record]

	mu      sync.Mutex // guards all below
	kept    map[state.Key]record
	clients map[state.Key]*client
	over    map[state.Key]table.Order // given back, until their rows go
}

var _ reconcile.Sink[table.Order] = (*Keeper)(nil)

// record is a lease on disk.
type record struct {
	Version int         `json:"version"`
	Order   table.Order `json:"order"`
	Lease   dhcp.Lease  `json:"lease"`
	Served  bool        `json:"served"` // there has been a lease
}

// Valid makes a record that says nothing a damaged one.
func (r record) Valid() error {
	if r.Version != 1 || r.Order.ContainerID == "" || r.Order.Interface == "" || r.Order.Client == "" {
		return errors.New("it is no lease of version 1")
	}
	return nil
}

const folder = "leases"

// Open reads the records into table Leases, which it marks synced.
func Open(o Options) (*Keeper, error) {
	k := &Keeper{
		Options: o, records: journal.Dir[record]{Path: o.StateDir + "/" + folder},
		kept: map[state.Key]record{}, clients: map[state.Key]*client{}, over: map[state.Key]table.Order{},
	}
	return k, kept.Read(o.DB, o.Log, k.records, "leases", "its NIC asks for an address anew", table.Leases, func(tx *state.Tx, r record) {
		k.kept[table.Orders.Key(r.Order)] = r
		table.Leases.Put(tx, row(r, 0, ""))
	})
}

func row(r record, renewed int, says string) table.Lease {
	o := r.Order
	return table.Lease{
		ContainerID: o.ContainerID, First: o.First, Interface: o.Interface, Namespace: o.Namespace, Pod: o.Pod,
		Address: r.Lease.Address, Server: r.Lease.Server, Until: r.Lease.Until, Renewed: renewed, Served: r.Served, Says: says,
	}
}

// Run ends all clients when ctx ends. They give nothing back: the next agent goes on.
func (k *Keeper) Run(ctx context.Context) error {
	<-ctx.Done()
	k.mu.Lock()
	clients := maps.Clone(k.clients)
	k.mu.Unlock()
	for _, c := range clients {
		c.end()
	}
	return ctx.Err()
}

// Dump lists what is kept. A record without a client looks like none that is wanted.
func (k *Keeper) Dump(context.Context) (iter.Seq2[state.Key, table.Order], error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := map[state.Key]table.Order{}
	for key, r := range k.kept {
		r.Order.Client = ""
		list[key] = r.Order
	}
	for key, c := range k.clients {
		list[key] = c.order
	}
	for key, o := range k.over {
		list[key] = o
	}
	return maps.All(list), nil
}

// Equal compares what a lease is about.
func (k *Keeper) Equal(want, have table.Order) bool { return want.Same(have) }

// Set begins clients. What comes of them is in table Leases.
func (k *Keeper) Set(_ context.Context, rows []table.Order) error {
	for _, o := range rows {
		k.begin(o)
	}
	return nil
}

func (k *Keeper) begin(o table.Order) {
	key := table.Orders.Key(o)
	k.mu.Lock()
	former, gone := k.clients[key], k.over[key]
	k.mu.Unlock()
	if gone.Same(o) {
		return
	}
	if former != nil {
		if former.order.Same(o) {
			return
		}
		former.end() // of a NIC that is there no more
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.over, key)
	r := k.kept[key]
	if !r.Order.Same(o) {
		r = record{}
	}
	r.Version, r.Order = 1, o
	k.clients[key] = newClient(k, r)
}

// Unset gives leases back.
func (k *Keeper) Unset(_ context.Context, rows []table.Order) error {
	var errs []error
	for _, o := range rows {
		if err := k.finish(table.Orders.Key(o)); err != nil {
			errs = append(errs, &reconcile.RowError{Key: table.Orders.Key(o), Err: err})
		}
		k.mu.Lock()
		delete(k.over, table.Orders.Key(o))
		k.mu.Unlock()
	}
	return errors.Join(errs...)
}

// Leaving gives back the lease of a NIC that is about to be taken away.
func (k *Keeper) Leaving(i network.Interface) {
	key := table.Orders.Key(table.Order{ContainerID: i.ContainerID, Interface: i.Interface})
	k.mu.Lock()
	if c := k.clients[key]; c != nil {
		k.over[key] = c.order
	} else if r, ok := k.kept[key]; ok {
		k.over[key] = r.Order
	}
	k.mu.Unlock()
	if err := k.finish(key); err != nil {
		k.Log.Warn("forget a lease: the next agent gives it back once more", "pod", i.Namespace+"/"+i.Pod, "nic", i.Interface, "error", err)
	}
}

// finish ends a client and gives its lease back, unless that stays with its owner.
func (k *Keeper) finish(key state.Key) error {
	k.mu.Lock()
	c, r := k.clients[key], k.kept[key]
	k.mu.Unlock()
	if c != nil {
		c.end()
	}
	if c == nil && r.Version != 0 {
		c = idle(k, r)
	}
	if c != nil && !c.order.Stays {
		c.release()
	}
	o := r.Order
	if c != nil {
		o = c.order
	}
	if o.ContainerID != "" {
		if err := k.records.Delete(journal.Name(o.ContainerID, o.Interface)); err != nil {
			return err
		}
	}
	k.mu.Lock()
	delete(k.clients, key)
	delete(k.kept, key)
	k.mu.Unlock()
	return k.DB.Write(func(tx *state.Tx) error { table.Leases.Delete(tx, key); return nil })
}

// keep writes a record.
func (k *Keeper) keep(r record) error {
	if err := k.records.Put(journal.Name(r.Order.ContainerID, r.Order.Interface), r); err != nil {
		return fmt.Errorf("keep the lease: %w; is the disk full?", err)
	}
	k.mu.Lock()
	k.kept[table.Orders.Key(r.Order)] = r
	k.mu.Unlock()
	return nil
}

// say writes a row of table Leases.
func (k *Keeper) say(r record, renewed int, says string) error {
	return k.DB.Write(func(tx *state.Tx) error { table.Leases.Put(tx, row(r, renewed, says)); return nil })
}

func (k *Keeper) mode() conflict.Mode {
	if k.Probe == nil {
		return conflict.Once
	}
	return k.Probe()
}

// now is the time on the wall: leases outlive the process.
func now() time.Time { return time.Now().Round(0) }
