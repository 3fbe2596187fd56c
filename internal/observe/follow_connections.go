package observe

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
)

// connections counts connections as they end, and what they have carried. Its counters grow when a connection ends, and of what it has
// carried in each interval before; they miss what the kernel held back of ends (hubble_lost_events_total).
type connections struct {
	closed         *prometheus.CounterVec
	packets, bytes *prometheus.CounterVec
	seconds        *prometheus.HistogramVec

	known map[uint8]*counted // by protocol
}

// counted are the counters of a protocol: finding them by their labels costs more than counting.
type counted struct {
	protocol       string
	closed         map[string]prometheus.Counter // by ending
	sent, received carried
	seconds        prometheus.Observer
}

func newConnections() follower {
	c := &connections{
		known: map[uint8]*counted{},
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connections_closed_total", Help: "Connections that ended, by how: fin, reset, idle, evicted.",
		}, []string{"protocol", "ending"}),
		packets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connection_packets_total", Help: "Packets of connections, when they end and in intervals before; sent: by what opened them.",
		}, []string{"protocol", "way"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weft_connection_bytes_total", Help: "Bytes of IP packets of connections, when they end and in intervals before; sent: by what opened them.",
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
	n := c.known[f.event.Protocol]
	if n == nil {
		n = c.of(cmp.Or(flow.ProtocolName(f.event.Protocol), "other"))
		c.known[f.event.Protocol] = n
	}
	sent, received := end.News()
	n.sent.add(sent)
	n.received.add(received)
	if end.Ending == "" {
		return
	}
	ended := n.closed[end.Ending]
	if ended == nil {
		ended = c.closed.WithLabelValues(n.protocol, end.Ending)
		n.closed[end.Ending] = ended
	}
	ended.Inc()
	n.seconds.Observe(end.Duration.Seconds())
}

// of finds the counters of a protocol.
func (c *connections) of(protocol string) *counted {
	way := func(name string) carried {
		return carried{c.packets.WithLabelValues(protocol, name), c.bytes.WithLabelValues(protocol, name)}
	}
	return &counted{
		protocol: protocol, closed: map[string]prometheus.Counter{}, sent: way("sent"), received: way("received"),
		seconds: c.seconds.WithLabelValues(protocol),
	}
}

// carried counts what went one way.
type carried struct{ packets, bytes prometheus.Counter }

func (c carried) add(n flow.Carried) {
	c.packets.Add(float64(n.Packets))
	c.bytes.Add(float64(n.Bytes))
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
