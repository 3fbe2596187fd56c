package measure

import (
	"strconv"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// kafka counts requests of Kafka when they are answered, as upstream did up to 1.18.
type kafka struct {
	context
	requests *series[prometheus.Counter]
	seconds  *series[prometheus.Observer]
}

func newKafka(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &kafka{
		c, counters("hubble_kafka_requests_total", "Count of Kafka requests by topic", append(c.names(), "topic", "api_key", "error_code", "reporter"), limit),
		histograms("hubble_kafka_request_duration_seconds", "Quantiles of Kafka request duration in seconds", append(c.names(), "topic", "api_key", "reporter"), limit),
	}
}

func (h *kafka) series() []anySeries { return []anySeries{h.requests, h.seconds} }

func (h *kafka) take(f *flowpb.Flow) {
	//lint:ignore SA1019 flows of agents before 1.19 have it
	k := f.GetL7().GetKafka()
	if k == nil || f.GetL7().GetType() != flowpb.L7FlowType_RESPONSE {
		return
	}
	pods, values, who := h.pods(f), h.values(f, true), reporter(f)
	h.requests.at(pods, append(values[:len(values):len(values)], k.GetTopic(), k.GetApiKey(), strconv.Itoa(int(k.GetErrorCode())), who)...).Inc()
	h.seconds.at(pods, append(values[:len(values):len(values)], k.GetTopic(), k.GetApiKey(), who)...).Observe(float64(f.GetL7().GetLatencyNs()) / float64(time.Second))
}
