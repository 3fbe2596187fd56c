package observation

import (
	"weftnet.io/weftnet/internal/flow/metric"
	"weftnet.io/weftnet/internal/settings/key"
)

// MetricKeys are those of the metrics of flows.
var MetricKeys = []key.Of[Observation]{
	{
		Name: "hubble-metrics", Concern: Concern, Holds: key.AtOnce, Syntax: key.FlowMetrics,
		Text: "metrics of flows, such as `dns:query;ignoreAAAA drop tcp flow icmp port-distribution policy`, parted by spaces or lines; [metrics.md](metrics.md) has all. " +
			"One that makes no sense is left out. dns, http, httpV2 and kafka count flows of proxies, of which there are none yet",
		Read: func(r *key.Reader, o *Observation, name string) {
			text, _ := r.Get(name)
			list, err := metric.Parse(text)
			if o.FlowMetrics.List = list; err != nil {
				r.Problem(name, text, err.Error())
			}
		},
	},
	{
		Name: "hubble-metrics-server", Default: ":9965", Concern: Concern, Holds: key.AtOnce, Syntax: key.Address, Text: "where they are served; empty: nowhere",
		Needs: "`hubble-metrics`", Read: func(r *key.Reader, o *Observation, name string) {
			o.FlowMetrics.Server.Address, o.FlowMetrics.Server.Keys = r.Text(name), name
		},
	},
	{
		Name: "hubble-metrics-max-series", Default: "10000", Concern: Concern, Holds: key.AtOnce, Syntax: key.Integer,
		Text: "the most series of a metric of flows that an agent has; what finds no room is counted in one whose labels are all `other`",
		Read: key.Number(1, 1_000_000, func(o *Observation, n int) { o.FlowMetrics.Series = n }),
	},
	{
		Name: "enable-hubble-open-metrics", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "clients that ask for OpenMetrics get it, with the traces of `httpV2:exemplars=true`", Read: key.Flag(func(o *Observation) *bool { return &o.FlowMetrics.Open }),
	},
	{
		Name: "hubble-metrics-server-enable-tls", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Protection: true, Text: "metrics of flows are served by TLS",
		Needs: "`hubble-metrics-server-tls-cert-file`, `hubble-metrics-server-tls-key-file`", Read: key.Flag(func(o *Observation) *bool { return &o.FlowMetrics.Server.TLS }),
	},
	{Name: "hubble-metrics-server-tls-cert-file", Concern: Concern, Holds: key.AtOnce, Text: "its certificate; read for each connection", Read: key.Text(func(o *Observation) *string { return &o.FlowMetrics.Server.Certificate })},
	{Name: "hubble-metrics-server-tls-key-file", Concern: Concern, Holds: key.AtOnce, Text: "its key; read for each connection", Read: key.Text(func(o *Observation) *string { return &o.FlowMetrics.Server.Key })},
	{Name: "hubble-metrics-server-tls-client-ca-files", Concern: Concern, Holds: key.AtOnce, Text: "certificates by which clients are known; none: any client", Read: key.List(func(o *Observation) *[]string { return &o.FlowMetrics.Server.ClientCAs })},
}

// AgentMetricKeys are those of the metrics of the agent itself.
var AgentMetricKeys = []key.Of[Observation]{
	{
		Name: "metrics", Concern: Concern, Holds: key.AtOnce, Text: "which metrics the agent leaves out, such as `-cilium_endpoint_state -cilium_bpf_map_capacity`; with a + in front it is there again",
		Read: key.List(func(o *Observation) *[]string { return &o.Selected }),
	},
	{
		Name: "enable-pod-throughput-metrics", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "what pods send and receive is counted by pod, beside by namespace", Read: key.Flag(func(o *Observation) *bool { return &o.Throughput.Pods }),
	},
	{
		Name: "enable-vm-throughput-metrics", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "… and by virtual machine", Read: key.Flag(func(o *Observation) *bool { return &o.Throughput.Machines }),
	},
	{
		Name: "bpf-program-stats-interval", Concern: Concern, Holds: key.AtOnce, Syntax: key.Life,
		Text: "how often it is measured, for a second each time, how long programs run; empty: never, and nothing is paid for it", Read: func(r *key.Reader, o *Observation, name string) { o.Programs = r.Life(name) },
	},
}

// Throughput says what the throughput of pods is counted by, beside by namespace.
type Throughput struct{ Pods, Machines bool }

// FlowMetrics say which metrics of flows there are, and where.
type FlowMetrics struct {
	List   []metric.Metric
	Server Metrics
	Series int  // most of a metric
	Open   bool // as OpenMetrics, to who asks for that
}
