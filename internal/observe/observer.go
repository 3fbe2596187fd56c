package observe

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/bpf/ktime"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Source is where records come from.
type Source interface {
	// Read waits for a record, which is valid until the next call. After Close it gives os.ErrClosed.
	Read() ([]byte, error)
	Close() error
}

// Capacity is how many flows are kept unless configured otherwise; Hubble's default.
const Capacity = 4095

// Options are what an observer cannot find in the tables.
type Options struct {
	Node     string // name of this node
	Cluster  string // cluster-name of the configuration
	Version  string // of this program
	Capacity int    // flows that are kept; 0: Capacity
	Log      *slog.Logger

	// Lost tells how many records the kernel has held back since it began; it is asked every second. Nil: nobody knows.
	Lost func() (uint64, error)

	Now  func() time.Time // nil: time.Now
	Mono func() int64     // ns, the clock of programs; nil: the kernel's
	UUID func() [16]byte  // nil: random
}

// Observer makes, keeps and serves the flows of a node.
type Observer struct {
	o       Options
	db      *state.DB
	tables  *table.Tables
	store   *store
	started time.Time

	seen      atomic.Uint64 // flows ever
	malformed atomic.Uint64 // records that made no sense
	losses    [2]atomic.Uint64
	rate      rate

	// Run's alone.
	enrich     *enricher
	clock      clock
	teller     *teller
	tellerAsOf uint64 // revision of the node that it is of

	mu         sync.Mutex
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
	o.Cluster = cmp.Or(o.Cluster, "default")
	return &Observer{
		o: o, db: db, tables: tables, enrich: newEnricher(tables, o.Cluster), store: newStore(o.Capacity), started: o.Now(),
		namespaces: map[string]time.Time{},
	}
}

// Run reads the source until the context ends, which closes it, or the source does.
func (o *Observer) Run(ctx context.Context, source Source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = source.Close() })
	defer stop()
	var watcher sync.WaitGroup
	if o.o.Lost != nil {
		watcher.Go(func() { o.watchLosses(ctx) })
	}
	defer watcher.Wait()
	defer cancel()
	for {
		record, err := source.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		}
		o.record(record)
	}
}

// record takes one record in.
func (o *Observer) record(record []byte) {
	event, err := Decode(record)
	if err != nil {
		if o.malformed.Add(1) == 1 {
			o.o.Log.Warn("an event of the datapath makes no sense; programs and agent are of different versions?", "error", err)
		}
		return
	}
	now := o.o.Now()
	snapshot := o.db.Snapshot()
	s := o.enrich.look(snapshot, event)
	s.time = o.clock.wall(int64(event.Time), now, o.o.Mono)
	s.uuid = o.o.UUID()
	s.teller = o.tellerOf(snapshot)
	o.remember(now, s.source.GetNamespace(), s.destination.GetNamespace())
	o.seen.Add(1)
	o.rate.add(now)
	o.store.put(entry{time: s.time, seen: s})
}

func (o *Observer) nodeName() string { return o.o.Cluster + "/" + o.o.Node }

// tellerOf is this node, with its labels sorted anew only when they have changed.
func (o *Observer) tellerOf(r state.Reader) *teller {
	key := state.Join(o.o.Node)
	revision := o.tables.Nodes.Revision(r, key)
	if o.teller != nil && revision == o.tellerAsOf {
		return o.teller
	}
	n, _ := o.tables.Nodes.One(r, key)
	o.tellerAsOf, o.teller = revision, &teller{
		node: o.nodeName(), emitter: &flowpb.Emitter{Name: "Weftnet", Version: o.o.Version},
		decide: func(rules uint32) decision { return o.enrich.decisionOf(o.db.Snapshot(), rules) },
	}
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		o.teller.labels = append(o.teller.labels, key+"="+n.Labels[key])
	}
	return o.teller
}

// namespaceMemory is how long a namespace counts as having flows (proto observer.Observer.GetNamespaces).
const namespaceMemory = time.Hour

func (o *Observer) remember(now time.Time, namespaces ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
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

func (o *Observer) watchLosses(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var known uint64
	counting, warned := false, false
	for ctx.Err() == nil {
		switch total, err := o.o.Lost(); {
		case err != nil && !warned:
			o.o.Log.Warn("how many events the datapath holds back is not known", "error", err)
			warned = true
		case err != nil:
		case counting && total > known:
			o.lost(total - known)
			known = total
		case !counting: // what was lost before this agent ran is no news
			known, counting = total, true
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// lost tells everybody of events that the kernel held back.
func (o *Observer) lost(n uint64) {
	o.losses[lostByKernel].Add(n)
	o.store.put(entry{time: o.o.Now(), lost: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_PERF_EVENT_RING_BUFFER, NumEventsLost: n,
	}})
}

// clock turns the kernel's monotonic time into wall time. The two drift apart when somebody sets the clock, so the
// difference is taken anew every second.
type clock struct {
	offset time.Duration
	taken  time.Time
}

func (c *clock) wall(mono int64, now time.Time, read func() int64) time.Time {
	if age := now.Sub(c.taken); age > time.Second || age < 0 || c.taken.IsZero() {
		c.offset, c.taken = time.Duration(now.UnixNano()-read()), now
	}
	return time.Unix(0, mono+int64(c.offset))
}

func randomUUID() (b [16]byte) {
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return b
}

func uuidText(b [16]byte) string {
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// rate counts flows in buckets of a second over the last minute.
type rate struct {
	mu      sync.Mutex
	buckets [60]uint64
	second  int64 // of the newest bucket
}

func (r *rate) advance(now time.Time) {
	for second := now.Unix(); r.second < second; {
		r.second = max(r.second+1, second-int64(len(r.buckets))+1)
		r.buckets[r.second%int64(len(r.buckets))] = 0
	}
}

func (r *rate) add(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	r.buckets[r.second%int64(len(r.buckets))]++
}

// perSecond is the mean over the last minute, or over uptime if that is shorter.
func (r *rate) perSecond(now time.Time, uptime time.Duration) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	var sum uint64
	for _, n := range r.buckets {
		sum += n
	}
	return float64(sum) / min(max(uptime.Seconds(), 1), float64(len(r.buckets)))
}
