package scrape

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/derive/service"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Node is what an agent's own numbers are of.
type Node struct {
	Version  string
	Tables   *table.Tables
	DB       *state.DB
	Datapath *datapath.Datapath
	Settings func() []settings.Line    // each key, and whether it is in force
	Ready    func() bool               // the node takes workloads
	Took     func() time.Duration      // from the start until it did; 0: not yet
	Pressure func() map[string]float64 // how full the maps are that the sweeper knows
}

var (
	endpoints   = prometheus.NewDesc("cilium_endpoint", "NICs of workloads on this node.", nil, nil)
	states      = prometheus.NewDesc("cilium_endpoint_state", "NICs of workloads on this node, by state: ready, or waiting for what their pods need.", []string{"endpoint_state"}, nil)
	policies    = prometheus.NewDesc("cilium_policy", "Policy objects known to this node.", nil, nil)
	revision    = prometheus.NewDesc("cilium_policy_max_revision", "Grows with each change of a policy object.", nil, nil)
	enforcement = prometheus.NewDesc("cilium_policy_endpoint_enforcement_status", "NICs of workloads by the directions in which policies isolate them: none, ingress, egress, both.", []string{"enforcement"}, nil)
	identities  = prometheus.NewDesc("cilium_identity", "Identities known to this node.", []string{"type"}, nil)
	addresses   = prometheus.NewDesc("cilium_ip_addresses", "Addresses of workloads on this node.", []string{"family"}, nil)
	capacity    = prometheus.NewDesc("cilium_ipam_capacity", "Addresses that the node's prefixes have room for.", []string{"family"}, nil)
	nodes       = prometheus.NewDesc("cilium_nodes_all_num", "Nodes of the cluster that this node knows.", nil, nil)
	bootstrap   = prometheus.NewDesc("cilium_agent_bootstrap_seconds", "From the start of the agent until the node took workloads.", []string{"scope", "outcome"}, nil)
	version     = prometheus.NewDesc("cilium_version", "Version of the agent; 1.", []string{"version", "revision", "arch"}, nil)
	failing     = prometheus.NewDesc("cilium_controllers_failing", "Tables of which rows are not in place.", []string{"table"}, nil)
	ready       = prometheus.NewDesc("weft_ready", "1 when this node takes workloads.", nil, nil)
	unmet       = prometheus.NewDesc("weft_configuration_unmet", "1 for each configuration key that asks for a protection that is not active.", []string{"key"}, nil)
	full        = prometheus.NewDesc("cilium_bpf_map_pressure", "Entries of a map as a share of its size.", []string{"map_name"}, nil)
	room        = prometheus.NewDesc("cilium_bpf_map_capacity", "Entries that a map has room for.", []string{"map_group"}, nil)
	lost        = prometheus.NewDesc("weft_bpf_map_move_lost_total", "Entries that did not fit when a map got another shape or size.", []string{"map_name"}, nil)
)

// Own are the numbers of an agent itself, read from its tables at each scrape.
type Own struct{ n Node }

// NewOwn makes those of a node.
func NewOwn(n Node) *Own { return &Own{n} }

// Describe implements prometheus.Collector.
func (o *Own) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		endpoints, states, policies, revision, enforcement, identities, addresses, capacity, nodes, bootstrap, version, failing, ready, unmet, full, room, lost,
	} {
		out <- d
	}
}

// gauges sends numbers to a registry.
type gauges chan<- prometheus.Metric

func (g gauges) set(d *prometheus.Desc, v float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (o *Own) Collect(to chan<- prometheus.Metric) {
	out, s, t := gauges(to), o.n.DB.Snapshot(), o.n.Tables
	out.set(policies, float64(t.Policies.Len(s)))
	out.set(revision, float64(t.Policies.LastRevision(s)))
	out.set(identities, float64(t.Identities.Len(s)), "cluster_local")
	out.set(nodes, float64(t.Nodes.Len(s)))
	out.set(version, 1, o.n.Version, o.n.Version, runtime.GOARCH)
	is := 0.0
	if o.n.Ready() {
		is = 1
	}
	if took := o.n.Took(); took > 0 {
		out.set(bootstrap, took.Seconds(), "overall", "success")
	}
	out.set(ready, is)
	for row := range status.Statuses.All(s) {
		if row.Key == "" && !row.Done {
			out.set(failing, 1, row.Table)
		}
	}
	for _, line := range o.n.Settings() {
		if line.Alarm() {
			out.set(unmet, 1, line.Key)
		}
	}
	o.workloads(s, out)
	o.ipam(s, out)
	if o.n.Datapath != nil {
		o.maps(s, out)
	}
}

// workloads tells of NICs, and which are isolated.
func (o *Own) workloads(s *state.Snapshot, out gauges) {
	t := o.n.Tables
	all, done := t.NICs.Len(s), t.Ready.Len(s)
	out.set(endpoints, float64(all))
	out.set(states, float64(done), "ready")
	out.set(states, float64(max(t.Attachments.Len(s)-done, 0)), "waiting-to-regenerate")
	isolated := map[string]int{"none": 0, "ingress": 0, "egress": 0, "both": 0}
	for set := range t.PolicySets.All(s) {
		n := 0
		for range t.Workloads.By(s, table.BySet, t.PolicySets.Key(set)) {
			n++
		}
		isolated[directions(set)] += n
	}
	for kind, n := range isolated {
		out.set(enforcement, float64(n), kind)
	}
}

// directions are those in which a set lets nothing pass but what it allows.
func directions(set table.PolicySet) string {
	in, eg := false, false
	for _, e := range set.Entries {
		if e.View == policy.InForce && e.Verdict == policy.DenyImplicit {
			in, eg = in || e.Direction == policy.Ingress, eg || e.Direction == policy.Egress
		}
	}
	switch {
	case in && eg:
		return "both"
	case in:
		return "ingress"
	case eg:
		return "egress"
	}
	return "none"
}

// ipam tells how many addresses there are, and could be.
func (o *Own) ipam(s *state.Snapshot, out gauges) {
	used, could := map[string]float64{"ipv4": 0, "ipv6": 0}, map[string]float64{}
	family := func(four bool) string {
		if four {
			return "ipv4"
		}
		return "ipv6"
	}
	for a := range o.n.Tables.Attachments.All(s) {
		for _, ip := range a.Addresses {
			if a.Network != 0 {
				break
			}
			used[family(ip.Is4())]++
		}
	}
	node, _ := o.n.Tables.LocalNode(s)
	for _, p := range node.PodCIDRs {
		n := 1.0
		for range p.Addr().BitLen() - p.Bits() {
			n *= 2
		}
		could[family(p.Addr().Is4())] += n
	}
	for f, n := range used {
		out.set(addresses, n, f)
	}
	for f, n := range could {
		out.set(capacity, n, f)
	}
}

// maps tells how full the maps are.
func (o *Own) maps(s *state.Snapshot, out gauges) {
	t := o.n.Tables
	entries, ranges := 0, 0
	for set := range t.SetStatuses.All(s) {
		entries += set.Entries
		ranges += set.Ranges
	}
	pressure := o.n.Pressure()
	for name, held := range service.Entries(t.Frontends.All(s), map[string]int{
		"ipcache": t.IPCache.Len(s), "nics": t.NICs.Len(s), "policies": entries, "ranges": ranges, "sets": t.SetStatuses.Len(s),
	}) {
		pressure[name] = float64(held) / float64(o.n.Datapath.Map(name).MaxEntries())
	}
	for name, n := range o.n.Datapath.Lost() {
		out <- prometheus.MustNewConstMetric(lost, prometheus.CounterValue, float64(n), name)
	}
	for name, part := range pressure {
		out.set(full, part, name)
		if m := o.n.Datapath.Map(name); m != nil {
			out.set(room, float64(m.MaxEntries()), name)
		}
	}
}
