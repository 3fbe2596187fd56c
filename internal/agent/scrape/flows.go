package scrape

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/measure"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// lookAtPods is how often the series of pods that are gone are looked for.
const lookAtPods = 10 * time.Second

// Flows are the metrics of flows (key hubble-metrics).
type Flows struct {
	pods    pods
	current atomic.Pointer[measure.Metrics] // nil: none are asked for

	mu   sync.Mutex
	last *measure.Metrics // what a next list goes on with
}

// NewFlows makes those of a node.
func NewFlows(t *table.Tables, db *state.DB) *Flows { return &Flows{pods: pods{t, db}} }

// Take counts a flow: a follower of an observer.
func (f *Flows) Take(flow *observe.Flow) {
	if m := f.current.Load(); m != nil {
		m.Take(flow.Message())
	}
}

// Run counts what a configuration asks for, and gives serve what shows it, until ctx ends.
func (f *Flows) Run(ctx context.Context, c settings.FlowMetrics, serve func(context.Context, settings.Metrics, http.Handler) error) error {
	if len(c.List) == 0 {
		f.set(nil)
		return nil
	}
	m := f.next(c)
	go f.pods.forget(ctx, m)
	return serve(ctx, c.Server, handler(m, c.Open))
}

// next makes what a configuration asks for, and counts it from now on.
func (f *Flows) next(c settings.FlowMetrics) *measure.Metrics {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = measure.New(c.List, c.Series, f.last)
	f.current.Store(f.last)
	return f.last
}

func (f *Flows) set(m *measure.Metrics) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = m
	f.current.Store(m)
}

// handler shows metrics, and how often it did.
func handler(m prometheus.Collector, open bool) http.Handler {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hubble_metrics_http_handler_requests_total", Help: "A counter for requests to Hubble metrics handler.",
	}, []string{"code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hubble_metrics_http_handler_request_duration_seconds", Help: "A histogram of latencies of Hubble metrics handler.",
	}, []string{"code"})
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, requests, seconds)
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: open})
	return promhttp.InstrumentHandlerCounter(requests, promhttp.InstrumentHandlerDuration(seconds, h))
}
