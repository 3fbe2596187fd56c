package measure

import (
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/metric"
)

// icmp counts messages of ICMP by type and code.
type icmp struct {
	context
	total *series[prometheus.Counter]
}

func newICMP(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &icmp{c, counters("hubble_icmp_total", "Number of ICMP messages", append([]string{"family", "type"}, c.names()...), limit)}
}

func (h *icmp) series() []anySeries { return []anySeries{h.total} }

func (h *icmp) take(f *flowpb.Flow) {
	l4 := f.GetL4()
	family := "IPv4"
	switch {
	case l4.GetICMPv6() != nil:
		family = "IPv6"
	case l4.GetICMPv4() == nil:
		return
	}
	_, kind, _ := strings.Cut(flow.Summary(l4), " ") // "ICMPv4 EchoRequest"
	h.total.at(h.pods(f), append([]string{family, kind}, h.values(f, false)...)...).Inc()
}
