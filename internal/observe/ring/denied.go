package ring

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
)

var verdicts = prometheus.NewDesc("cilium_policy_verdicts_total",
	"Packets on which a policy spoke, by verdict. DENIED: dropped by policy, counted by the programs.", []string{"verdict"}, nil)

// denied shows how many packets policies have denied.
type denied struct {
	counters func() (map[CounterKey]abi.Counter, error)
}

// DeniedOf makes a collector of how many packets policies have denied, of the datapath's counters (see CountersOf).
func DeniedOf(counters func() (map[CounterKey]abi.Counter, error)) prometheus.Collector {
	return denied{counters}
}

// Describe implements prometheus.Collector.
func (denied) Describe(out chan<- *prometheus.Desc) { out <- verdicts }

// Collect implements prometheus.Collector. The counter is there before the first drop: what begins with another number than 0 has not
// increased, to Prometheus.
func (d denied) Collect(out chan<- prometheus.Metric) {
	counters, err := d.counters()
	if err != nil {
		out <- prometheus.NewInvalidMetric(verdicts, err)
		return
	}
	var n uint64
	for key, one := range counters {
		if byPolicy(key.Reason) {
			n += one.Packets
		}
	}
	out <- prometheus.MustNewConstMetric(verdicts, prometheus.CounterValue, float64(n), "DENIED")
}

// byPolicy tells whether a policy has dropped what was dropped for a reason.
func byPolicy(r abi.DropReason) bool {
	const authentication = 189 // AUTH_REQUIRED
	return r == abi.DropPolicy || r == abi.DropPolicyDeny || r == authentication
}
