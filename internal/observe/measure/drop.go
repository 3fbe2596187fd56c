package measure

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// drops counts flows that were dropped. Their reason is the name of the protobuf's enum.
type drops struct {
	context
	total *series[prometheus.Counter]
}

func newDrop(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &drops{c, counters("hubble_drop_total", "Number of drops", append(c.names(), "reason", "protocol"), limit)}
}

func (d *drops) series() []anySeries { return []anySeries{d.total} }

func (d *drops) take(f *flowpb.Flow) {
	if f.GetVerdict() == flowpb.Verdict_DROPPED {
		d.total.at(d.pods(f), append(d.values(f, false), f.GetDropReasonDesc().String(), protocol(f))...).Inc()
	}
}
