// Package delegate makes the further NICs of pods: those in the pod network by the agent itself, all others by the CNI plugins that their
// definitions name.
//
// # The world it models
//
// A row of table interfaces is a NIC that a container is to have. What a plugin is told, and what it answers, is kept on disk, so a NIC is
// taken away by what made it, whatever has become of its definition, its pod or its network namespace since:
//
//	record {want, pending}  ->  plugins ADD  ->  record {want, what they said}  ->  row of Finished
//	plugins DEL (in reverse, with the answer of their ADD)  ->  record gone     ->  row gone
//
// A container's NICs are made one after the other, in the order of its annotation, and taken away in reverse. Other containers do not wait
// for that: what takes longer than a moment goes on by itself, and the loop asks for it again.
//
// # Invariants
//
//   - A record is on disk before a plugin is called: what a crash leaves half made is taken away before it is made anew.
//   - An ADD that fails is followed by its DEL.
//   - CHECK, STATUS and GC reach plugins whose definition states a version that has them, and no others. GC never runs while a NIC is made.
//   - What STATUS says is about its network and no other: a definition that makes no sense says nothing of the node.
//   - A NIC that is there and asked for with the same words is left alone, an agent that restarts calls no plugin.
//
// # Example
//
//	d, err := delegate.Open(delegate.Options{DB: db, StateDir: "/var/lib/weft", Path: []string{"/opt/cni/bin"}, Log: log})
//	d.Serve(server) // makes those in the pod network
//	loop := &reconcile.Loop[network.Interface]{Table: network.Interfaces, Sink: d}
package delegate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"

	"weftnet.io/weftnet/internal/journal"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/link/conflict"
	"weftnet.io/weftnet/internal/sink/link/kept"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// Own makes NICs in the pod network.
type Own interface {
	Attach(ctx context.Context, want network.Interface) error
	Detach(ctx context.Context, containerID, ifname string) error
	Attached() iter.Seq[table.Attachment]
	Holds(containerID string) bool // a container with any NIC
}

// Options are what Delegates work with. Added, Probe and Leaving may be nil.
type Options struct {
	DB       *state.DB
	Root     string   // prefix of host paths of network namespaces; empty: none
	StateDir string   // holds the records
	Path     []string // folders of plugins, the first that has one counts
	Log      *slog.Logger

	Added   func(i network.Interface, addresses []netip.Prefix) // is told of each NIC that has been made, unless it has no address yet; it does not block
	Probe   func() conflict.Mode                                // how thoroughly is asked whether addresses are free
	Leaving func(i network.Interface)                           // gives back what a NIC has by DHCP, before it is taken away
}

// Delegates keeps the NICs of containers equal to table network.Interfaces.
type Delegates struct {
	Options
	plugins *libcni.CNIConfig
	records journal.Dir[record]

	calls sync.RWMutex  // held for reading while plugins make NICs
	asked chan struct{} // has one if plugins are to be asked for their status

	mu   sync.Mutex // guards all below
	own  Own
	have map[state.Key]record
	jobs map[string]*job // of containers that are worked on
}

var _ reconcile.Sink[network.Interface] = (*Delegates)(nil)

// record is a NIC on disk.
type record struct {
	Version int          `json:"version"`
	Pending bool         `json:"pending,omitempty"` // plugins may have been called, and have not answered
	Made    network.Made `json:"made"`
}

// Valid makes a record that says nothing a damaged one.
func (r record) Valid() error {
	if w := r.Made.Want; r.Version != 1 || w.ContainerID == "" || w.Interface == "" || w.Config == "" {
		return errors.New("it is no NIC of version 1")
	}
	return nil
}

// folder of records, below the state folder, and that of what libcni remembers of plugins.
const (
	folder = "interfaces"
	cache  = "interfaces-cni"
)

// Open reads the records and puts what has been made into table network.Finished, which it marks synced.
func Open(o Options) (*Delegates, error) {
	d := &Delegates{
		Options: o, records: journal.Dir[record]{Path: o.StateDir + "/" + folder}, have: map[state.Key]record{}, jobs: map[string]*job{}, asked: make(chan struct{}, 1),
		plugins: libcni.NewCNIConfigWithCacheDir(o.Path, o.StateDir+"/"+cache, nil),
	}
	err := kept.Read(o.DB, o.Log, d.records, "further NICs", "its NIC stays in its pod until that ends", network.Finished, func(tx *state.Tx, r record) {
		d.have[network.Finished.Key(r.Made)] = r
		if !r.Pending {
			network.Finished.Put(tx, r.Made)
		}
	})
	if err != nil {
		return nil, err
	}
	return d, o.DB.Write(func(tx *state.Tx) error {
		grant.TakenAddresses.MarkSynced(tx)
		return nil
	})
}

// Serve says who makes NICs in the pod network. Until then there are none.
func (d *Delegates) Serve(own Own) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = own
}

func (d *Delegates) ours() (Own, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.own == nil {
		return nil, errors.New("the agent is starting")
	}
	return d.own, nil
}

// Dump lists the NICs that there are. One that was never finished looks like none that is wanted.
func (d *Delegates) Dump(context.Context) (iter.Seq2[state.Key, network.Interface], error) {
	own, err := d.ours()
	if err != nil {
		return nil, err
	}
	list := map[state.Key]network.Interface{}
	for a := range own.Attached() {
		list[table.AttachmentKey(a.ContainerID, a.Interface)] = network.Interface{
			ContainerID: a.ContainerID, First: a.Further.First, Interface: a.Interface, Number: a.Further.Number, Netns: a.Netns,
			Definition: a.Further.Definition, Request: a.Further.Request, Own: true,
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, r := range d.have {
		row := r.Made.Want
		if r.Pending {
			row.Definition = ""
		}
		list[key] = row
	}
	return maps.All(list), nil
}

// Equal compares what is asked for: a NIC is what it was when it was made.
func (d *Delegates) Equal(want, have network.Interface) bool { return want.Same(have) }

// Set makes NICs.
func (d *Delegates) Set(ctx context.Context, rows []network.Interface) error {
	slices.SortFunc(rows, func(a, b network.Interface) int { return cmp.Compare(a.Number, b.Number) })
	return d.each(ctx, "make", rows, d.ensure)
}

// Unset takes NICs away.
func (d *Delegates) Unset(ctx context.Context, rows []network.Interface) error {
	slices.SortFunc(rows, func(a, b network.Interface) int { return cmp.Compare(b.Number, a.Number) })
	return d.each(ctx, "remove", rows, d.remove)
}

// job is what is being done to a container's NICs.
type job struct {
	what string // which work on which rows: the same again joins it
	done chan struct{}
	errs []error // by row, once done
}

// moment is how long the loop waits for plugins. Some talk with other machines.
const moment = 3 * time.Second

// limit ends plugins that hang.
const limit = 2 * time.Minute

// each does something to the rows of each container, one after the other.
func (d *Delegates) each(ctx context.Context, verb string, rows []network.Interface, do func(context.Context, network.Interface) error) error {
	of := map[string][]network.Interface{}
	for _, r := range rows {
		of[r.ContainerID] = append(of[r.ContainerID], r)
	}
	jobs := map[string]*job{}
	for container, list := range of {
		jobs[container] = d.begin(ctx, container, verb, list, do)
	}
	patience := time.NewTimer(moment)
	defer patience.Stop()
	late := make(chan struct{})
	go func() { <-patience.C; close(late) }()
	var errs []error
	for container, list := range of {
		j := jobs[container]
		select {
		case <-j.done:
		case <-late:
		case <-ctx.Done():
		}
		for i, row := range list {
			if err := j.of(verb, list, i); err != nil {
				errs = append(errs, &reconcile.RowError{Key: network.Interfaces.Key(row), Err: err})
			}
		}
	}
	return errors.Join(errs...)
}

// begin works on a container's rows, unless it is worked on already.
func (d *Delegates) begin(ctx context.Context, container, verb string, list []network.Interface, do func(context.Context, network.Interface) error) *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[container]; j != nil {
		return j
	}
	j := &job{what: name(verb, list), done: make(chan struct{}), errs: make([]error, len(list))}
	d.jobs[container] = j
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	go func() {
		defer cancel()
		for i, row := range list {
			j.errs[i] = do(ctx, row)
		}
		d.mu.Lock()
		delete(d.jobs, container)
		d.mu.Unlock()
		close(j.done)
	}()
	return j
}

// of is what came of a row, if the job was about it.
func (j *job) of(verb string, list []network.Interface, i int) error {
	select {
	case <-j.done:
		if j.what == name(verb, list) {
			return j.errs[i]
		}
		return errors.New("it comes after other NICs of the pod")
	default:
		return fmt.Errorf("its plugins are at it for longer than %v", moment)
	}
}

func name(verb string, list []network.Interface) string {
	names := []string{verb}
	for _, r := range list {
		names = append(names, r.Interface, r.Definition, r.Request)
	}
	return strings.Join(names, "\n")
}

// find is what there is under the name of a row.
func (d *Delegates) find(row network.Interface) (record, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.have[network.Interfaces.Key(row)]
	return r, ok
}

// put keeps a record, on disk first.
func (d *Delegates) put(r record) error {
	w := r.Made.Want
	if err := d.records.Put(journal.Name(w.ContainerID, w.Interface), r); err != nil {
		return fmt.Errorf("keep what is made: %w; is the disk full?", err)
	}
	d.mu.Lock()
	d.have[network.Finished.Key(r.Made)] = r
	d.mu.Unlock()
	if r.Pending {
		return nil
	}
	return d.DB.Write(func(tx *state.Tx) error { network.Finished.Put(tx, r.Made); return nil })
}

// drop forgets a record.
func (d *Delegates) drop(r record) error {
	w := r.Made.Want
	if err := d.records.Delete(journal.Name(w.ContainerID, w.Interface)); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.have, network.Finished.Key(r.Made))
	d.mu.Unlock()
	return d.DB.Write(func(tx *state.Tx) error { network.Finished.Delete(tx, network.Finished.Key(r.Made)); return nil })
}
