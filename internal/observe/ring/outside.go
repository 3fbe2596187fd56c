package ring

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
)

var outsideCalls = prometheus.NewDesc("weft_outside_calls_total",
	"Connections that calls of services from outside have opened, by how they are led on.", []string{"way"}, nil)

// ways are the names of how a call is led on: to a backend of this node; to one elsewhere, with this node's address, or so that it
// answers straight to the client; to one of this node by another node, likewise.
var ways = map[abi.OutsideWay]string{abi.OutsideLocal: "local", abi.OutsideSnat: "snat", abi.OutsideDsr: "dsr", abi.OutsideTold: "dsr-backend"}

// Outside shows to Prometheus how calls from outside are led on: map outside_calls, summed over all CPUs.
type Outside struct{ calls *ebpf.Map }

// OutsideOf makes a collector.
func OutsideOf(calls *ebpf.Map) *Outside { return &Outside{calls} }

// Describe names the series.
func (o *Outside) Describe(out chan<- *prometheus.Desc) { out <- outsideCalls }

// Collect reads the numbers. Each way is there, also at zero.
func (o *Outside) Collect(out chan<- prometheus.Metric) {
	for way, name := range ways {
		var each []uint64
		if err := o.calls.Lookup(uint32(way), &each); err != nil {
			out <- prometheus.NewInvalidMetric(outsideCalls, fmt.Errorf("read map outside_calls: %w", err))
			return
		}
		var sum uint64
		for _, n := range each {
			sum += n
		}
		out <- prometheus.MustNewConstMetric(outsideCalls, prometheus.CounterValue, float64(sum), name)
	}
}
