package observe

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
)

// connections counts connections as they end, and what they have carried. Its counters grow when a connection ends, and miss
// what the kernel held back (hubble_lost_events_total).
type connections struct {
	closed         *prometheus.CounterVec
	packets, bytes *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
}

func newConnections() follower {
	c := &connections{
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connections_closed_total", Help: "Connections that ended, by how: fin, reset, idle, evicted.",
		}, []string{"protocol", "ending"}),
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connection_packets_total", Help: "Packets of connections that ended; sent: by what opened them.",
		}, []string{"protocol", "way"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connection_bytes_total", Help: "Bytes of IP packets of connections that ended; sent: by what opened them.",
		}, []string{"protocol", "way"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weft_connection_duration_seconds", Help: "From the first to the last packet of connections that ended.",
			Buckets: prometheus.ExponentialBuckets(0.001, 10, 8),
		}, []string{"protocol"}),
	}
	return follower{name: "connections", take: c.take, collector: c}
}

func (c *connections) take(f *Flow) {
	end, ok := f.more.(flow.Close)
	if !ok {
		return
	}
	protocol := cmp.Or(flow.ProtocolName(f.event.Protocol), "other")
	c.closed.WithLabelValues(protocol, end.Ending).Inc()
	for way, n := range map[string]flow.Carried{"sent": end.Sent, "received": end.Received} {
		c.packets.WithLabelValues(protocol, way).Add(float64(n.Packets))
		c.bytes.WithLabelValues(protocol, way).Add(float64(n.Bytes))
	}
	c.seconds.WithLabelValues(protocol).Observe(end.Duration.Seconds())
}

// Describe implements prometheus.Collector.
func (c *connections) Describe(out chan<- *prometheus.Desc) {
	for _, one := range []prometheus.Collector{c.closed, c.packets, c.bytes, c.seconds} {
		one.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (c *connections) Collect(out chan<- prometheus.Metric) {
	for _, one := range []prometheus.Collector{c.closed, c.packets, c.bytes, c.seconds} {
		one.Collect(out)
	}
}
