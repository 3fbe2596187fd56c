// Package health says whether a node translates what calls services, as far as the agent can know, for those that ask by HTTP.
//
// # The world it models
//
// kube-proxy calls itself healthy while it keeps up: what is wanted of services may wait for the kernel for a while, not for long. So does a
// node here. It looks when it is asked, which who checks health does again and again.
//
// # Invariants
//
//   - A node whose agent is starting is not healthy.
//   - A single row that cannot be written makes no node unhealthy: others serve.
//
// # Example
//
//	checks := health.New(tables, db, ready) // the sink of table health-checks
//	defer checks.Close()
package health

import (
	"sync"
	"time"

	derive "weftnet.io/weftnet/internal/derive/health"
	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/health"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/healthcheck"
)

// Derivation says at which addresses the node of this name is asked.
func Derivation(t *table.Tables, node string) state.AnyDerivation { return derive.New(t, node) }

// Table has the addresses and services that are asked about.
var Table = healthcheck.Table

// Loop keeps checks equal to Table.
func Loop(checks *sink.Checks) *reconcile.Loop[healthcheck.Check] {
	return &reconcile.Loop[healthcheck.Check]{Table: Table, Sink: checks, WaitSynced: true}
}

// New makes what answers there. ready tells whether the agent takes workloads.
func New(t *table.Tables, db *state.DB, ready func() bool) *sink.Checks {
	p := &proxy{t: t, db: db, ready: ready, updated: time.Now()}
	return sink.New(func() sink.State { return p.look(time.Now()) })
}

// proxyPatience is how long what is wanted of services may wait for the kernel before the node calls itself unhealthy, as kube-proxy's:
// twice the period of its full syncs.
const proxyPatience = time.Minute

// proxy is this node as one that translates.
type proxy struct {
	t     *table.Tables
	db    *state.DB
	ready func() bool

	mu      sync.Mutex
	updated time.Time // when all that was wanted had last been tried
	waits   uint64    // revision of table frontends that was still to be tried at the last look; 0: none
	since   time.Time // when that was seen first
}

// look tells whether the kernel follows what is wanted. A single row that cannot be written makes no node unhealthy: others serve.
func (p *proxy) look(now time.Time) sink.State {
	s := p.db.Snapshot()
	whole, _ := status.Statuses.One(s, status.KeyOf(p.t.Frontends, ""))
	want := p.t.Frontends.LastRevision(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waits != 0 && whole.Rev >= p.waits {
		p.waits = 0
	}
	if whole.Rev >= want {
		p.updated = now
	} else if p.waits == 0 {
		p.waits, p.since = want, now
	}
	return sink.State{Healthy: p.ready() && (p.waits == 0 || now.Sub(p.since) < proxyPatience), Updated: p.updated}
}
