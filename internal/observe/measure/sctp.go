package measure

import (
	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// chunks counts packets of SCTP by the type of their first chunk, where flows have it.
type chunks struct {
	context
	total *series[prometheus.Counter]
}

func newSCTP(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &chunks{c, counters("hubble_sctp_chunk_types_total", "SCTP chunk type occurrences", append([]string{"chunk_type", "family"}, c.names()...), limit)}
}

func (h *chunks) series() []anySeries { return []anySeries{h.total} }

func (h *chunks) take(f *flowpb.Flow) {
	s := f.GetL4().GetSCTP()
	if s == nil || f.GetIP() == nil || !passed(f) || s.GetChunkType() == flowpb.SCTPChunkType_UNSUPPORTED {
		return
	}
	h.total.at(h.pods(f), append([]string{s.GetChunkType().String(), f.GetIP().GetIpVersion().String()}, h.values(f, false)...)...).Inc()
}
