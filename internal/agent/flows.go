package agent

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/settings"
)

// runObserver makes flows of the kernel's events and serves them on Hubble's socket; metrics come from the same place.
func (a *Agent) runObserver(run runFunc, config settings.Config) error {
	ring, err := observe.OpenRing(a.datapath.Map("events"))
	if err != nil {
		return err
	}
	o := observe.New(a.Tables, a.DB, observe.Options{
		Node: a.Node, Cluster: config.ClusterName, Version: a.Version, Log: a.Log, Lost: observe.LostOf(a.datapath.Map("event_budget")),
	})
	run("flows", func(ctx context.Context) error { return o.Run(ctx, ring) })
	if config.Hubble {
		socket := cmp.Or(a.Hubble, config.HubbleSocket)
		listener, err := agentv1.Listen(socket) // for root alone
		if err != nil {
			return fmt.Errorf("serve flows: %w", err)
		}
		run("flow service", func(ctx context.Context) error { return o.Serve(ctx, listener) })
	}
	config.Metrics.Address = cmp.Or(config.Metrics.Address, a.Metrics)
	if config.Metrics.Address == "" {
		return nil
	}
	if err := scrape.Check(config.Metrics); err != nil {
		a.Log.Error("metrics are not served until this is mended; no restart is needed", "error", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		observe.NewCollector(o, observe.CountersOf(a.datapath.Map("counters"))), newCollector(a), a.sweeper, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "cilium"}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	l, err := scrape.Listen(config.Metrics)
	if err != nil {
		return err
	}
	run("metrics", serve(mux, l))
	return nil
}
