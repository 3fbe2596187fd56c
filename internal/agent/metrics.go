package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// collector gives metrics of the agent itself, read from its tables when asked.
type collector struct {
	a         *Agent
	endpoints *prometheus.Desc
	policies  *prometheus.Desc
	failing   *prometheus.Desc
	ready     *prometheus.Desc
	unmet     *prometheus.Desc
	full      *prometheus.Desc
}

func newCollector(a *Agent) *collector {
	return &collector{
		a:         a,
		endpoints: prometheus.NewDesc("cilium_endpoint", "NICs of workloads on this node.", nil, nil),
		policies:  prometheus.NewDesc("cilium_policy", "Policy objects known to this node.", nil, nil),
		failing:   prometheus.NewDesc("cilium_controllers_failing", "Tables of which rows are not in place.", []string{"table"}, nil),
		ready:     prometheus.NewDesc("weft_ready", "1 when this node takes workloads.", nil, nil),
		unmet:     prometheus.NewDesc("weft_configuration_unmet", "1 for each configuration key that asks for a protection that is not active.", []string{"key"}, nil),
		full:      prometheus.NewDesc("cilium_bpf_map_pressure", "Entries of a map as a share of its size.", []string{"map_name"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.endpoints, c.policies, c.failing, c.ready, c.unmet, c.full} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	s := c.a.DB.Snapshot()
	gauge(c.endpoints, c.a.Tables.NICs.Len(s))
	gauge(c.policies, c.a.Tables.Policies.Len(s))
	ready := 0
	if c.a.Stage() == "" {
		ready = 1
	}
	gauge(c.ready, ready)
	for row := range status.Statuses.All(s) {
		if row.Key == "" && !row.Done {
			gauge(c.failing, 1, row.Table)
		}
	}
	c.pressure(s, out)
	for _, line := range c.a.report() {
		if line.Alarm() {
			gauge(c.unmet, 1, line.Key)
		}
	}
}

// pressure tells how full the maps are.
func (c *collector) pressure(s *state.Snapshot, out chan<- prometheus.Metric) {
	t := c.a.Tables
	entries, ranges := 0, 0
	for set := range t.SetStatuses.All(s) {
		entries += set.Entries
		ranges += set.Ranges
	}
	full := c.a.shared().pressure()
	for name, held := range map[string]int{
		"hosts": t.IPCache.Len(s), "nics": t.NICs.Len(s), "services": t.Frontends.Len(s), "policies": entries, "ranges": ranges, "sets": t.SetStatuses.Len(s),
	} {
		full[name] = float64(held) / float64(c.a.datapath.Map(name).MaxEntries())
	}
	for name, part := range full {
		out <- prometheus.MustNewConstMetric(c.full, prometheus.GaugeValue, part, name)
	}
}
