package feature

import (
	"cmp"
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/derive/service"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

var metrics = Feature{
	Name: "metrics", Does: "serves numbers of all features at /metrics",
	Maps: func(n *Node) ([]Runner, error) {
		registry := prometheus.NewRegistry()
		registry.MustRegister(n.collectors...)
		registry.MustRegister(newCollector(n), collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "cilium"}))
		return []Runner{{Name: "metrics", Run: func(ctx context.Context) error {
			return configured(ctx, n, n.metricsPort, func(ctx context.Context, c settings.Metrics) error {
				return n.serveMetrics(ctx, c, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
			})
		}}}, nil
	},
}

func (n *Node) metricsPort(c settings.Observation) settings.Metrics {
	c.Metrics.Address = cmp.Or(c.Metrics.Address, n.Metrics)
	return c.Metrics
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
	mux.Handle("/metrics", handler)
	return Serve(mux, l)(ctx)
}

// collector gives metrics of the agent itself, read from its tables at each scrape.
type collector struct {
	n         *Node
	endpoints *prometheus.Desc
	policies  *prometheus.Desc
	failing   *prometheus.Desc
	ready     *prometheus.Desc
	unmet     *prometheus.Desc
	full      *prometheus.Desc
	lost      *prometheus.Desc
}

func newCollector(n *Node) *collector {
	return &collector{
		n:         n,
		endpoints: prometheus.NewDesc("cilium_endpoint", "NICs of workloads on this node.", nil, nil),
		policies:  prometheus.NewDesc("cilium_policy", "Policy objects known to this node.", nil, nil),
		failing:   prometheus.NewDesc("cilium_controllers_failing", "Tables of which rows are not in place.", []string{"table"}, nil),
		ready:     prometheus.NewDesc("weft_ready", "1 when this node takes workloads.", nil, nil),
		unmet:     prometheus.NewDesc("weft_configuration_unmet", "1 for each configuration key that asks for a protection that is not active.", []string{"key"}, nil),
		full:      prometheus.NewDesc("cilium_bpf_map_pressure", "Entries of a map as a share of its size.", []string{"map_name"}, nil),
		lost:      prometheus.NewDesc("weft_bpf_map_move_lost_total", "Entries that did not fit when a map got another shape or size.", []string{"map_name"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.endpoints, c.policies, c.failing, c.ready, c.unmet, c.full, c.lost} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	s := c.n.DB.Snapshot()
	gauge(c.endpoints, c.n.Tables.NICs.Len(s))
	gauge(c.policies, c.n.Tables.Policies.Len(s))
	ready := 0
	if c.n.Ready() {
		ready = 1
	}
	gauge(c.ready, ready)
	for row := range status.Statuses.All(s) {
		if row.Key == "" && !row.Done {
			gauge(c.failing, 1, row.Table)
		}
	}
	c.pressure(s, out)
	for _, line := range c.n.Settings() {
		if line.Alarm() {
			gauge(c.unmet, 1, line.Key)
		}
	}
}

// pressure tells how full the maps are.
func (c *collector) pressure(s *state.Snapshot, out chan<- prometheus.Metric) {
	t := c.n.Tables
	entries, ranges := 0, 0
	for set := range t.SetStatuses.All(s) {
		entries += set.Entries
		ranges += set.Ranges
	}
	full := c.n.Sweeper.Load().Pressure()
	for name, held := range service.Entries(t.Frontends.All(s), map[string]int{
		"ipcache": t.IPCache.Len(s), "nics": t.NICs.Len(s), "policies": entries, "ranges": ranges, "sets": t.SetStatuses.Len(s),
	}) {
		full[name] = float64(held) / float64(c.n.Datapath.Map(name).MaxEntries())
	}
	for name, n := range c.n.Datapath.Lost() {
		out <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(n), name)
	}
	for name, part := range full {
		out <- prometheus.MustNewConstMetric(c.full, prometheus.GaugeValue, part, name)
	}
}
