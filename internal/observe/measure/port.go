package measure

import (
	"strconv"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/metric"
)

// ports counts flows by the port that they call. What may be an answer has none that is worth counting.
type ports struct {
	context
	total *series[prometheus.Counter]
}

func newPort(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &ports{c, counters("hubble_port_distribution_total", "Numbers of packets distributed by destination port", append([]string{"protocol", "port"}, c.names()...), limit)}
}

func (h *ports) series() []anySeries { return []anySeries{h.total} }

func (h *ports) take(f *flowpb.Flow) {
	name := transport(f.GetL4())
	if name == "" || !passed(f) || f.GetIsReply() == nil || f.GetIsReply().GetValue() {
		return
	}
	h.total.at(h.pods(f), append([]string{name, portOf(f, "0")}, h.values(f, false)...)...).Inc()
}

// portOf is the port that a flow calls, or what stands for none.
func portOf(f *flowpb.Flow, none string) string {
	if _, port, ok := flow.Ports(f); ok {
		return strconv.Itoa(int(port))
	}
	return none
}
