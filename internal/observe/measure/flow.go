package measure

import (
	"strconv"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/metric"
)

// flows counts all of them, by what they tell.
type flows struct {
	context
	total *series[prometheus.Counter]
}

func newFlow(m metric.Metric, limit int) handler {
	c := contextOf(m)
	labels := append([]string{"protocol", "type", "subtype", "verdict"}, c.names()...)
	return &flows{c, counters("hubble_flows_processed_total", "Total number of flows processed", labels, limit)}
}

func (h *flows) series() []anySeries { return []anySeries{h.total} }

func (h *flows) take(f *flowpb.Flow) {
	kind, sub := kindOf(f)
	h.total.at(h.pods(f), append([]string{protocol(f), kind, sub, f.GetVerdict().String()}, h.values(f, false)...)...).Inc()
}

func kindOf(f *flowpb.Flow) (kind, sub string) {
	switch event := f.GetEventType(); event.GetType() {
	case flow.EventL7:
		switch {
		case f.GetL7().GetDns() != nil:
			return "L7", "DNS"
		case f.GetL7().GetHttp() != nil:
			return "L7", "HTTP"
		}
		return "L7", ""
	case flow.EventDrop:
		return "Drop", ""
	case flow.EventCapture:
		return "Capture", ""
	case flow.EventTrace:
		return "Trace", flow.PointText(event.GetSubType())
	case flow.EventPolicyVerdict:
		return "PolicyVerdict", ""
	default:
		return "Unknown", strconv.Itoa(int(event.GetType()))
	}
}
