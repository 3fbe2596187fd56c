package measure

import (
	"slices"
	"strconv"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// http counts requests of HTTP and how long they took. Of the second version a request is counted when its answer comes, with its status
// and as from who asked; of the first, requests and answers are counted apart.
type http struct {
	context
	second    bool
	exemplars bool // series lead to a trace, if one is known

	requests, responses *series[prometheus.Counter]
	seconds             *series[prometheus.Observer]
}

func newHTTP(m metric.Metric, limit int) handler {
	h := &http{context: contextOf(m), second: m.Name == "httpV2", exemplars: slices.Contains(m.Values("exemplars"), "true")}
	answered := append(h.names(), "method", "protocol", "status", "reporter")
	asked := answered
	if !h.second {
		asked = append(h.names(), "method", "protocol", "reporter")
		h.responses = counters("hubble_http_responses_total", "Count of HTTP responses", answered, limit)
	}
	h.requests = counters("hubble_http_requests_total", "Count of HTTP requests", asked, limit)
	h.seconds = histograms("hubble_http_request_duration_seconds", "Quantiles of HTTP request duration in seconds", append(h.names(), "method", "reporter"), limit)
	return h
}

func (h *http) series() []anySeries {
	if h.second {
		return []anySeries{h.requests, h.seconds}
	}
	return []anySeries{h.requests, h.responses, h.seconds}
}

func (h *http) take(f *flowpb.Flow) {
	request := f.GetL7().GetHttp()
	answer := f.GetL7().GetType() == flowpb.L7FlowType_RESPONSE
	if request == nil || !answer && (h.second || f.GetL7().GetType() != flowpb.L7FlowType_REQUEST) {
		return
	}
	pods, values, who := h.pods(f), h.values(f, h.second), reporter(f)
	with := func(more ...string) []string { return append(slices.Clone(values), more...) }
	trace := ""
	if h.exemplars {
		trace = f.GetTraceContext().GetParent().GetTraceId()
	}
	if !answer {
		increase(h.requests.at(pods, with(request.GetMethod(), request.GetProtocol(), who)...), trace)
		return
	}
	counted := h.requests
	if !h.second {
		counted = h.responses
	}
	increase(counted.at(pods, with(request.GetMethod(), request.GetProtocol(), strconv.Itoa(int(request.GetCode())), who)...), trace)
	took := float64(f.GetL7().GetLatencyNs()) / float64(time.Second)
	observer := h.seconds.at(pods, with(request.GetMethod(), who)...)
	if e, ok := observer.(prometheus.ExemplarObserver); ok && trace != "" {
		e.ObserveWithExemplar(took, prometheus.Labels{"traceID": trace})
		return
	}
	observer.Observe(took)
}

func increase(c prometheus.Counter, trace string) {
	if e, ok := c.(prometheus.ExemplarAdder); ok && trace != "" {
		e.AddWithExemplar(1, prometheus.Labels{"traceID": trace})
		return
	}
	c.Inc()
}

// reporter is the end at which a request was seen.
func reporter(f *flowpb.Flow) string {
	switch f.GetTrafficDirection() {
	case flowpb.TrafficDirection_EGRESS:
		return "client"
	case flowpb.TrafficDirection_INGRESS:
		return "server"
	}
	return "unknown"
}
