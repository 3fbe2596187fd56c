// Package measure counts flows: the metrics of key hubble-metrics, with names, labels and units that dashboards for Hubble know.
//
// # The world it models
//
// Each metric of the list (package flow/metric) has a handler, a file of its own, which looks at every flow and counts those that are
// its. The labels of its series are its own and those of its contexts: the ends of a flow by pod, workload, namespace and so on.
//
// # Invariants
//
//   - A metric has at most as many series as it is given; what finds no room is counted in one series whose labels are all "other", and
//     in weft_metric_overflow_total.
//   - The series of a pod go a minute after it, if a label tells pods apart.
//   - Counters that a new list has as the old one had them go on.
//   - The end of a connection, which Hubble does not know as a flow, is counted by metric flow alone.
//
// # Example
//
//	list, _ := metric.Parse("drop:labelsContext=source_namespace tcp")
//	m := measure.New(list, 10000, nil)
//	registry.MustRegister(m)
//	m.Take(flow)                     // for each flow, one at a time
//	m.Forget(time.Now(), podLives)   // from time to time
package measure

import (
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/metric"
)

// handler counts what it is about.
type handler interface {
	take(f *flowpb.Flow)
	series() []anySeries
}

// handlers makes one for each metric.
var handlers = map[string]func(m metric.Metric, limit int) handler{
	"dns": newDNS, "drop": newDrop, "flow": newFlow, "flows-to-world": newWorld, "http": newHTTP, "httpV2": newHTTP, "icmp": newICMP,
	"kafka": newKafka, "policy": newPolicy, "port-distribution": newPort, "sctp": newSCTP, "tcp": newTCP,
}

// Metrics are those of a list.
type Metrics struct {
	limit int
	list  []asked
}

// asked is a metric of the list.
type asked struct {
	text    string
	name    string
	handler handler
}

// New makes the metrics of a list, each with at most limit series. Those that old has in the same way go on; nil: there are none.
func New(list []metric.Metric, limit int, old *Metrics) *Metrics {
	m := &Metrics{limit: limit}
	for _, one := range list {
		a := asked{text: one.String(), name: one.Name}
		if old != nil && old.limit == limit {
			for _, o := range old.list {
				if o.text == a.text {
					a.handler = o.handler
				}
			}
		}
		if a.handler == nil {
			a.handler = handlers[one.Name](one, limit)
		}
		m.list = append(m.list, a)
	}
	return m
}

// Take counts a flow. Not for several at a time.
func (m *Metrics) Take(f *flowpb.Flow) {
	end := flow.TellsCarried(f)
	for _, a := range m.list {
		if !end || a.name == "flow" {
			a.handler.take(f)
		}
	}
}

// Forget takes out the series of pods that live no more, once they have been gone for a minute.
func (m *Metrics) Forget(now time.Time, lives func(Pod) bool) {
	for _, s := range m.all() {
		s.forget(now, lives)
	}
}

func (m *Metrics) all() (out []anySeries) {
	for _, a := range m.list {
		out = append(out, a.handler.series()...)
	}
	return out
}

var (
	seriesCount = prometheus.NewDesc("weft_metric_series", "Series that a metric of flows has.", []string{"metric"}, nil)
	overflow    = prometheus.NewDesc("weft_metric_overflow_total", "How often a metric of flows had no room for a series of its own; counted in that whose labels are all other.", []string{"metric"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { describe(m.all(), out) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) { collect(m.all(), out) }

func describe(all []anySeries, out chan<- *prometheus.Desc) {
	out <- seriesCount
	out <- overflow
	for _, s := range all {
		s.collector().Describe(out)
	}
}

func collect(all []anySeries, out chan<- prometheus.Metric) {
	for _, s := range all {
		n, over := s.size()
		out <- prometheus.MustNewConstMetric(seriesCount, prometheus.GaugeValue, float64(n), s.title())
		out <- prometheus.MustNewConstMetric(overflow, prometheus.CounterValue, float64(over), s.title())
		s.collector().Collect(out)
	}
}

// protocol is what upstream's handlers call the protocol of a flow.
func protocol(f *flowpb.Flow) string {
	switch f.GetEventType().GetType() {
	case flow.EventL7:
		switch {
		case f.GetL7().GetDns() != nil:
			return "DNS"
		case f.GetL7().GetHttp() != nil:
			return "HTTP"
		}
		return "Unknown L7"
	case flow.EventDrop, flow.EventTrace, flow.EventPolicyVerdict, flow.EventCapture:
		if name := transport(f.GetL4()); name != "" {
			return name
		}
		return "Unknown L4"
	}
	return "Unknown flow"
}

func transport(l4 *flowpb.Layer4) string {
	switch l4.GetProtocol().(type) {
	case *flowpb.Layer4_TCP:
		return "TCP"
	case *flowpb.Layer4_UDP:
		return "UDP"
	case *flowpb.Layer4_SCTP:
		return "SCTP"
	case *flowpb.Layer4_ICMPv4:
		return "ICMPv4"
	case *flowpb.Layer4_ICMPv6:
		return "ICMPv6"
	case *flowpb.Layer4_VRRP:
		return "VRRP"
	case *flowpb.Layer4_IGMP:
		return "IGMP"
	}
	return ""
}

// passed tells whether a packet went on.
func passed(f *flowpb.Flow) bool {
	return f.GetVerdict() == flowpb.Verdict_FORWARDED || f.GetVerdict() == flowpb.Verdict_REDIRECTED
}
