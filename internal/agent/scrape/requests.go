package scrape

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/source/kube/request"
)

// Requests are the numbers of requests to the API server.
func Requests() []prometheus.Collector { return request.Collectors() }
