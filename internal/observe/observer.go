package observe

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/bpf/ktime"
	"weftnet.io/weftnet/internal/flow/redact"
	"weftnet.io/weftnet/internal/observe/agentevent"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Source is where records come from: the kernel's ring buffer.
type Source interface {
	// Read waits for a record, which is valid until the next call; more tells that another is there already. After Close it
	// gives os.ErrClosed.
	Read() (record []byte, more bool, err error)
	Close() error
}

// Capacity is how many flows are kept unless configured otherwise; Hubble's default.
const Capacity = 4095

// Options are what an observer cannot find in the tables.
type Options struct {
	Node     string // name of this node
	Version  string // of this program
	Capacity int    // flows that are kept; 0: Capacity
	Log      *slog.Logger

	Further Further // nil: there is no other network than that of pods
	Machine Machine // nil: there are no virtual machines

	// Lost tells how many records the kernel has held back, and when, until ctx ends (package loss). Nil: it is not known.
	Lost func(ctx context.Context, tell func(number uint64, first, last time.Time))

	Now  func() time.Time // nil: time.Now
	Mono func() int64     // ns, the clock of programs; nil: the kernel's
	UUID func() [16]byte  // nil: random
}

// Observer makes, keeps and serves the flows of a node.
type Observer struct {
	o       Options
	db      *state.DB
	tables  *table.Tables
	journal *journal.Journal[Flow, *Flow]
	events  *agentevent.Events
	started time.Time

	seen      atomic.Uint64 // flows ever
	malformed atomic.Uint64 // records that made no sense
	losses    [2]atomic.Uint64
	rate      rate
	redaction atomic.Pointer[redact.Rules]

	followers []*following

	mu         sync.Mutex // guards what follows, and writing the journal: sources come side by side
	resolver   *resolver
	clock      clock
	origin     *origin
	originAsOf [2]uint64            // revisions of nodes and configuration that it is of
	fresh      []Flow               // allocated already
	namespaces map[string]time.Time // namespaces in flows, and when last
}

// Indexes of Observer.losses.
const (
	lostByKernel   = iota // the datapath held back, or found the ring buffer full
	lostByFollower        // a client was too slow
)

// New makes an observer. Nothing happens before Run.
func New(tables *table.Tables, db *state.DB, o Options) *Observer {
	if o.Capacity <= 0 {
		o.Capacity = Capacity
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Mono == nil {
		o.Mono = ktime.Now
	}
	if o.UUID == nil {
		o.UUID = randomUUID
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	observer := &Observer{
		o: o, db: db, tables: tables, resolver: newResolver(tables, o.Further, o.Machine), journal: journal.New[Flow](o.Capacity), started: o.Now(),
		events: agentevent.New(tables, db, o.Now), namespaces: map[string]time.Time{},
	}
	observer.Redact(redact.Rules{})
	for _, f := range followers {
		observer.followers = append(observer.followers, &following{follower: f()})
	}
	return observer
}

// Redact says what is taken out of flows before they are kept, from now on.
func (o *Observer) Redact(rules redact.Rules) { o.redaction.Store(&rules) }

// Run reads the sources until the context ends, which closes them, or one of them ends with an error.
func (o *Observer) Run(ctx context.Context, sources ...Source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	if o.o.Lost != nil {
		work.Go(func() { o.o.Lost(ctx, o.lost) })
	}
	work.Go(func() { o.events.Run(ctx) })
	for _, f := range o.followers {
		place := o.journal.Cursor()
		work.Go(func() { f.run(ctx, place) })
	}
	for _, source := range sources {
		stop := context.AfterFunc(ctx, func() { _ = source.Close() })
		defer stop()
		work.Go(func() { cancel(o.read(source)) })
	}
	work.Wait()
	if err := context.Cause(ctx); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// wakeEvery is how many flows may wait unread before followers are woken, while more come without a pause.
const wakeEvery = 256

// read takes in what a source gives. Followers are woken once for all that came together.
func (o *Observer) read(source Source) error {
	for n := 1; ; n++ {
		record, more, err := source.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return err
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		}
		o.take(record)
		if !more || n%wakeEvery == 0 {
			o.journal.Wake()
		}
	}
}

// take makes a flow of a record.
func (o *Observer) take(record []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.flow()
	if err := decode(record, f); err != nil {
		if o.malformed.Add(1) == 1 {
			o.o.Log.Warn("an event of the datapath makes no sense; programs and agent are of different versions?", "error", err)
		}
		return
	}
	now := o.o.Now()
	snapshot := o.db.Snapshot()
	o.resolver.resolve(snapshot, f)
	f.At = o.clock.wall(int64(f.event.Time), now, o.o.Now, o.o.Mono)
	f.uuid = o.o.UUID()
	if l7, ok := f.more.(*flowpb.Layer7); ok {
		o.redaction.Load().Layer7(l7)
	}
	f.node = o.originOf(snapshot)
	o.remember(now, f.source.endpoint.GetNamespace(), f.destination.endpoint.GetNamespace())
	o.seen.Add(1)
	o.rate.add(now)
	o.journal.Put(f)
}

// flow is an empty one. They are allocated some at a time.
func (o *Observer) flow() *Flow {
	if len(o.fresh) == 0 {
		o.fresh = make([]Flow, slab)
	}
	f := &o.fresh[0]
	o.fresh = o.fresh[1:]
	return f
}

func (o *Observer) nodeName(r state.Reader) string {
	return o.tables.Config(r).ClusterName + "/" + o.o.Node
}

// originOf is this node, with its labels sorted anew only when nodes or the configuration have changed.
func (o *Observer) originOf(r state.Reader) *origin {
	revision := [2]uint64{o.tables.Nodes.LastRevision(r), o.tables.Configs.LastRevision(r)}
	if o.origin != nil && revision == o.originAsOf {
		return o.origin
	}
	n, _ := o.tables.Nodes.One(r, state.Join(o.o.Node))
	o.originAsOf, o.origin = revision, &origin{
		node: o.nodeName(r), emitter: &flowpb.Emitter{Name: "Weftnet", Version: o.o.Version},
		decide: func(rules uint32) *decision { return o.resolver.decisionOf(o.db.Snapshot(), rules) },
	}
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		o.origin.labels = append(o.origin.labels, key+"="+n.Labels[key])
	}
	return o.origin
}

// namespaceMemory is how long a namespace counts as having flows (proto observer.Observer.GetNamespaces).
const namespaceMemory = time.Hour

// remember notes the namespaces of a flow; mu is held.
func (o *Observer) remember(now time.Time, namespaces ...string) {
	for _, name := range namespaces {
		if name != "" {
			o.namespaces[name] = now
		}
	}
}

// recent lists the namespaces of the last hour and forgets the others.
func (o *Observer) recent(now time.Time) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	maps.DeleteFunc(o.namespaces, func(_ string, last time.Time) bool { return now.Sub(last) > namespaceMemory })
	return slices.Sorted(maps.Keys(o.namespaces))
}

// lost tells all readers of events that the kernel held back.
func (o *Observer) lost(number uint64, first, last time.Time) {
	o.losses[lostByKernel].Add(number)
	o.mu.Lock()
	o.journal.Put(&Flow{Entry: journal.Entry{At: last}, lost: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_PERF_EVENT_RING_BUFFER, NumEventsLost: number, First: timestamppb.New(first), Last: timestamppb.New(last),
	}})
	o.mu.Unlock()
	o.journal.Wake()
}

func randomUUID() (b [16]byte) {
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

func uuidText(b [16]byte) string {
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
