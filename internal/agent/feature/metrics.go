package feature

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
)

var metrics = Feature{
	Name: "metrics", Does: "serves numbers of all features at /metrics",
	Maps: func(n *Node) ([]Runner, error) {
		registry := prometheus.NewRegistry()
		registry.MustRegister(n.collectors...)
		sets := n.Tables.PolicySets.Name() // what keeps them in the kernel
		delays := scrape.NewDelays(n.Tables, n.DB, func(s *state.Snapshot) string { return n.Behind(s, derivation, sets) })
		registry.MustRegister(delays.Collectors()...)
		registry.MustRegister(scrape.Requests()...)
		registry.MustRegister(n.own(), n.Times, n.Complain.Collector(), collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "cilium"}))
		return []Runner{
			{Name: "metrics", Run: func(ctx context.Context) error {
				return configured(ctx, n, n.metricsPort, func(ctx context.Context, c served) error {
					return n.serveMetrics(ctx, c.Metrics, promhttp.HandlerFor(scrape.Select(registry, c.selected), promhttp.HandlerOpts{}))
				})
			}},
			{Name: "delays of policies", Run: delays.Run},
			{Name: "times of programs", Run: func(ctx context.Context) error {
				every := func(c settings.Observation) time.Duration { return c.Programs }
				return configured(ctx, n, every, func(ctx context.Context, every time.Duration) error { return n.Times.Run(ctx, n.Datapath, every) })
			}},
		}, nil
	},
}

// served says which metrics are served, and where.
type served struct {
	settings.Metrics
	selected []string
}

func (n *Node) metricsPort(c settings.Observation) served {
	c.Metrics.Address = cmp.Or(c.Metrics.Address, n.Metrics)
	return served{c.Metrics, c.Selected}
}

func (n *Node) own() *scrape.Own {
	return scrape.NewOwn(scrape.Node{
		Version: n.Version, Tables: n.Tables, DB: n.DB, Datapath: n.Datapath, Settings: n.Settings, Ready: n.Ready, Took: n.Took,
		Pressure: func() map[string]float64 { return n.Sweeper.Load().Pressure() },
	})
}

// serveMetrics serves what shows metrics, if there is an address for it.
func (n *Node) serveMetrics(ctx context.Context, c settings.Metrics, handler http.Handler) error {
	if c.Address == "" {
		return nil
	}
	if err := scrape.Check(c); err != nil {
		n.Log.Error("metrics are not served until this is mended; no restart is needed", "error", err)
	}
	l, err := scrape.Listen(c)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", scrape.Bounded(handler))
	return Serve(mux, l)(ctx)
}
