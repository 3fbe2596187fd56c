package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/observe/ring"
)

var (
	verdicts = prometheus.NewDesc("cilium_policy_verdicts_total",
		"Packets on which a policy spoke, by verdict. DENIED: dropped by policy, counted by the programs.", []string{"verdict"}, nil)
	flowsSeen = prometheus.NewDesc("weft_flows_total", "Flows that the agent has made of the kernel's events.", nil, nil)
)

// seen shows what policies denied, and how many flows there were.
type seen struct {
	observer *Observer
	counters func() (map[ring.CounterKey]abi.Counter, error)
}

// NewSeen makes a collector of what an observer has seen, and of what policies denied. counters are those of NewCollector.
func NewSeen(o *Observer, counters func() (map[ring.CounterKey]abi.Counter, error)) prometheus.Collector {
	return seen{o, counters}
}

// Describe implements prometheus.Collector.
func (seen) Describe(out chan<- *prometheus.Desc) { out <- verdicts; out <- flowsSeen }

// Collect implements prometheus.Collector. DENIED is there before the first drop: what begins with a number other than 0 has not
// increased.
func (s seen) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(flowsSeen, prometheus.CounterValue, float64(s.observer.seen.Load()))
	counters, err := s.counters()
	if err != nil {
		out <- prometheus.NewInvalidMetric(verdicts, err)
		return
	}
	var denied uint64
	for key, n := range counters {
		if byPolicy(key.Reason) {
			denied += n.Packets
		}
	}
	out <- prometheus.MustNewConstMetric(verdicts, prometheus.CounterValue, float64(denied), "DENIED")
}

// byPolicy tells whether a policy has dropped what was dropped for a reason.
func byPolicy(r abi.DropReason) bool {
	const authentication = 189 // AUTH_REQUIRED
	return r == abi.DropPolicy || r == abi.DropPolicyDeny || r == authentication
}
