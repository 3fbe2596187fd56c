// Package request counts the requests that this process makes of the API server, and how long they take.
//
// client-go has one place for that in each process, and who is first there keeps it: Collectors gives the same ones each time.
//
// Invariant: a path is a label without names of objects and namespaces, so that there are as many series as kinds.
//
//	registry.MustRegister(request.Collectors()...)
package request

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/metrics"
)

var (
	calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cilium_k8s_client_api_calls_total", Help: "Requests to the API server, by what it answered.",
	}, []string{"host", "method", "return_code"})
	seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "cilium_k8s_client_api_latency_time_seconds", Help: "How long the API server took to answer.",
	}, []string{"path", "method"})
)

var register = sync.OnceFunc(func() {
	metrics.Register(metrics.RegisterOpts{RequestResult: result{}, RequestLatency: latency{}})
})

// Collectors are what is counted from the first call on.
func Collectors() []prometheus.Collector {
	register()
	return []prometheus.Collector{calls, seconds}
}

type result struct{}

// Increment implements metrics.ResultMetric.
func (result) Increment(_ context.Context, code, method, host string) {
	calls.WithLabelValues(host, method, code).Inc()
}

type latency struct{}

// Observe implements metrics.LatencyMetric.
func (latency) Observe(_ context.Context, verb string, u url.URL, took time.Duration) {
	seconds.WithLabelValues(shape(u.Path), verb).Observe(took.Seconds())
}

// shape is a path without names: /api/v1/namespaces/{namespace}/pods/{name}.
func shape(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	at := 2 // api/v1
	if parts[0] == "apis" {
		at = 3 // apis/cilium.io/v2
	} else if parts[0] != "api" {
		return "/" + parts[0]
	}
	if len(parts) > at+2 && parts[at] == "namespaces" {
		parts[at+1] = "{namespace}"
		at += 2
	}
	if len(parts) > at+1 {
		parts[at+1] = "{name}"
	}
	return "/" + strings.Join(parts, "/")
}
