package feature

import (
	"context"
	"sync"
	"time"

	derive "weftnet.io/weftnet/internal/derive/health"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/health"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

var healthChecks = Feature{
	Name: "health checks", Does: "answers load balancers about services and the node, as kube-proxy does",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.HealthChecks} },
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{derive.New(n.Tables, n.Name)} },
	Maps: func(n *Node) ([]Runner, error) {
		p := &proxy{n: n, updated: time.Now()}
		checks := health.New(func() health.State { return p.look(time.Now()) })
		loop := keep(n, &reconcile.Loop[table.HealthCheck]{Table: n.Tables.HealthChecks, Sink: checks, WaitSynced: true})
		run := loop.Run
		loop.Run = func(ctx context.Context) error {
			defer checks.Close()
			return run(ctx)
		}
		return []Runner{loop}, nil
	},
}

// proxyPatience is how long what is wanted of services may wait for the kernel before the node calls itself unhealthy, as kube-proxy's:
// twice the period of its full syncs.
const proxyPatience = time.Minute

// proxy is this node as one that translates. It looks when it is asked, which who checks health does again and again.
type proxy struct {
	n *Node

	mu      sync.Mutex
	updated time.Time // when all that was wanted had last been tried
	waits   uint64    // revision of table frontends that was still to be tried at the last look; 0: none
	since   time.Time // when that was seen first
}

// look tells whether the kernel follows what is wanted. A single row that cannot be written makes no node unhealthy: others serve.
func (p *proxy) look(now time.Time) health.State {
	s := p.n.DB.Snapshot()
	whole, _ := status.Statuses.One(s, status.KeyOf(p.n.Tables.Frontends, ""))
	want := p.n.Tables.Frontends.LastRevision(s)
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
	return health.State{Healthy: p.n.Ready() && (p.waits == 0 || now.Sub(p.since) < proxyPatience), Updated: p.updated}
}
