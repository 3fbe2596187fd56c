package measure

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// tcpFlags counts flags of TCP that are told: those that open and end connections.
type tcpFlags struct {
	context
	total *series[prometheus.Counter]
}

func newTCP(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &tcpFlags{c, counters("hubble_tcp_flags_total", "TCP flag occurrences", append([]string{"flag", "family"}, c.names()...), limit)}
}

func (h *tcpFlags) series() []anySeries { return []anySeries{h.total} }

func (h *tcpFlags) take(f *flowpb.Flow) {
	flags := f.GetL4().GetTCP().GetFlags()
	if flags == nil || f.GetIP() == nil || !passed(f) {
		return
	}
	values := append([]string{"", f.GetIP().GetIpVersion().String()}, h.values(f, false)...)
	count := func(flag string, is bool) {
		if is {
			values[0] = flag
			h.total.at(h.pods(f), values...).Inc()
		}
	}
	count("FIN", flags.GetFIN())
	count("SYN", flags.GetSYN() && !flags.GetACK())
	count("SYN-ACK", flags.GetSYN() && flags.GetACK())
	count("RST", flags.GetRST())
}
