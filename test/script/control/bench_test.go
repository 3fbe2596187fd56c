package control

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/agent/feature"
	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

const nodeName = "n1"

// usual is the share of calls that fail unless a script says otherwise.
const usual = 0.1

// bench is an agent between fakes.
type bench struct {
	dir, netns string
	kernel     *kernel
	api        *api
	life       *life
	answers    map[string]chan answer

	mu     sync.Mutex
	shares map[string]float64
}

// life is an agent from its start to its end.
type life struct {
	*table.Tables
	db     *state.DB
	rows   *kind.Rows
	cni    *cni.Server
	cancel context.CancelFunc
	parts  sync.WaitGroup
	behind []func(s *state.Snapshot) bool // of derivations and loops: what s asks for is not done
}

// settle waits until nothing more follows from what is known.
func (l *life) settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		s := l.db.Snapshot()
		if !slices.ContainsFunc(l.behind, func(is func(*state.Snapshot) bool) bool { return is(s) }) && l.db.Snapshot() == s {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("not settled after %v", patience)
		}
	}
}

// configured waits until what the API server has told of the configuration is read: an ADD before that is refused, and runtimes repeat it.
func (l *life) configured(ctx context.Context) {
	for s := l.db.Snapshot(); l.Settings.IsSynced(s) && !l.Configs.IsSynced(s); s = l.db.Snapshot() {
		select {
		case <-l.Configs.WatchAll(s):
		case <-ctx.Done():
			return
		}
	}
}

func newBench(dir string) (*bench, error) {
	b := &bench{dir: dir, netns: filepath.Join(dir, "netns"), kernel: newKernel(), api: newAPI(), answers: map[string]chan answer{}, shares: map[string]float64{}}
	if err := os.WriteFile(b.netns, nil, 0o600); err != nil {
		return nil, err
	}
	return b, b.start()
}

// DB is part of scripttest.Bench.
func (b *bench) DB() *state.DB { return b.life.db }

// Apply is part of scripttest.Bench.
func (b *bench) Apply(_ string, text []byte) error { return b.api.each(text, b.api.put) }

// Restart is part of scripttest.Restarter.
func (b *bench) Restart(what string) error {
	if what != "agent" {
		return fmt.Errorf("there is no %s here", what)
	}
	b.stop()
	return b.start()
}

// Fail is part of scripttest.Failer: what is the name of a table whose sink shall fail, or all.
func (b *bench) Fail(what string, share float64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shares[what] = share
	return nil
}

// fails tells whether a call to a sink fails.
func (b *bench) fails(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, what := range []string{name, "all"} {
		if share, ok := b.shares[what]; ok {
			return rand.Float64() < share
		}
	}
	return rand.Float64() < usual
}

func (b *bench) stop() {
	b.api.leave()
	b.life.cancel()
	b.life.parts.Wait()
}

func (b *bench) start() error {
	tables, db := table.New()
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{Tables: tables, db: db, rows: kind.NewRows(tables, nodeName, nil), cancel: cancel}
	b.life = l
	if err := db.Write(func(tx *state.Tx) error {
		status.Statuses.MarkSynced(tx)
		tables.SetStatuses.MarkSynced(tx)
		for _, n := range b.kernel.nics.all() {
			tables.NICStatuses.Put(tx, taken(n))
		}
		tables.NICStatuses.MarkSynced(tx)
		for _, d := range b.kernel.devices() {
			tables.Devices.Put(tx, d)
		}
		tables.Devices.MarkSynced(tx)
		network.Finished.MarkSynced(tx)
		network.Found.MarkSynced(tx)
		network.Files.MarkSynced(tx)
		grant.TakenAddresses.MarkSynced(tx)
		return nil
	}); err != nil {
		return err
	}
	for _, list := range feature.Derivations(&feature.Node{Name: nodeName, Tables: tables}) {
		for _, d := range list {
			l.behind = append(l.behind, func(s *state.Snapshot) bool { return !d.CaughtUp(s) })
		}
		l.parts.Go(func() { _ = state.Together(ctx, db, list...) }) // its error is that of ctx
	}
	b.follow(ctx)
	var err error
	l.cni, err = cni.New(cni.Options{Tables: tables, DB: db, StateDir: filepath.Join(b.dir, "state"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	l.parts.Go(func() { _ = l.cni.Run(ctx) }) // its error is that of ctx
	return b.api.serve(l)
}

// follow runs the loops, each over a fake.
func (b *bench) follow(ctx context.Context) {
	l, k := b.life, b.kernel
	run(ctx, b, l.Links, k.links, false, fake[table.Link]{done: k.appears, undone: k.disappears})
	run(ctx, b, l.Tunnels, k.tunnels, false, fake[table.Tunnel]{done: k.tunnelAppears, undone: k.tunnelDisappears})
	run(ctx, b, l.Routes, k.routes, false, fake[table.Route]{})
	run(ctx, b, l.IPCache, k.ipcache, false, fake[table.IPCacheRow]{})
	run(ctx, b, l.Frontends, k.frontends, false, fake[table.Frontend]{})
	run(ctx, b, l.NICs, k.nics, false, fake[table.NIC]{keep: l.attached, done: served, undone: unserved})
	run(ctx, b, l.Hooks, k.hooks, false, fake[table.Hook]{keep: func(h table.Hook) bool { return k.serves(h.Ifindex) }})
	// The real sink gives sets new places in every life, so its fake forgets.
	run(ctx, b, l.PolicySets, newStore(l.PolicySets), true, fake[table.PolicySet]{done: enforced, undone: lifted})
	run(ctx, b, l.IdentityClaims, newStore(l.IdentityClaims), false, fake[table.IdentityClaim]{done: func(_ *life, c table.IdentityClaim) error {
		return b.api.number(c.Labels)
	}, undone: func(*life, table.IdentityClaim) error { return nil }})
	run(ctx, b, l.Published, b.api.endpoints(l), false, fake[table.PublishedEndpoint]{done: b.api.publish, undone: b.api.unpublish})
}

// attached tells whether a NIC still has an attachment, as the agent asks its tables.
func (l *life) attached(n table.NIC) bool {
	s := l.db.Snapshot()
	for range l.Attachments.By(s, table.ByDevice, state.Join(n.Device)) {
		return true
	}
	return !l.Attachments.IsSynced(s)
}

func enforced(l *life, set table.PolicySet) error {
	return l.db.Write(func(tx *state.Tx) error {
		key := l.PolicySets.Key(set)
		index := uint32(l.SetStatuses.Len(tx) + 1)
		if old, ok := l.SetStatuses.One(tx, key); ok {
			index = old.Index
		}
		l.SetStatuses.Put(tx, table.SetStatus{Set: key, Identity: set.Identity, Index: index, Entries: len(set.Entries)})
		return nil
	})
}

func taken(n table.NIC) table.NICStatus {
	return table.NICStatus{Incarnation: n.Incarnation, Identity: n.Identity}
}

func served(l *life, n table.NIC) error {
	return l.db.Write(func(tx *state.Tx) error { l.NICStatuses.Put(tx, taken(n)); return nil })
}

func unserved(l *life, n table.NIC) error {
	return l.db.Write(func(tx *state.Tx) error { l.NICStatuses.Delete(tx, l.NICStatuses.Key(taken(n))); return nil })
}

func lifted(l *life, set table.PolicySet) error {
	return l.db.Write(func(tx *state.Tx) error { l.SetStatuses.Delete(tx, l.PolicySets.Key(set)); return nil })
}

// run keeps a fake equal to a table until ctx ends.
func run[R state.Row](ctx context.Context, b *bench, t *state.Table[R], s *store[R], waitSynced bool, f fake[R]) {
	f.store, f.life, f.fails = s, b.life, func() bool { return b.fails(t.Name()) }
	loop := &reconcile.Loop[R]{Table: t, Sink: f, WaitSynced: waitSynced, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond}
	db := b.life.db
	b.life.behind = append(b.life.behind, func(s *state.Snapshot) bool {
		whole, _ := status.Statuses.One(s, status.KeyOf(t, ""))
		return t.IsSynced(s) && (!whole.Done || whole.Rev < t.LastRevision(s)) // before that, it takes nothing away
	})
	b.life.parts.Go(func() { _ = loop.Run(ctx, db) }) // its error is that of ctx
}

var underlay = []netip.Prefix{netip.MustParsePrefix("172.30.0.1/24"), netip.MustParsePrefix("fd30::1/64")}
