package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe/ring"
)

var (
	dropCount = prometheus.NewDesc("cilium_drop_count_total",
		"Packets that were dropped, by reason and direction.", []string{"reason", "direction"}, nil)
	dropBytes = prometheus.NewDesc("cilium_drop_bytes_total",
		"Bytes of packets that were dropped, by reason and direction.", []string{"reason", "direction"}, nil)
	forwardCount = prometheus.NewDesc("cilium_forward_count_total",
		"Packets that were forwarded, by direction.", []string{"direction"}, nil)
	forwardBytes = prometheus.NewDesc("cilium_forward_bytes_total",
		"Bytes of packets that were forwarded, by direction.", []string{"direction"}, nil)
	lostEvents = prometheus.NewDesc("hubble_lost_events_total",
		"Events that never became flows, or flows that a client was too slow for, by where they were lost.", []string{"source"}, nil)
	lostFlows = prometheus.NewDesc("weft_follower_lost_flows_total",
		"Flows that a follower inside the agent was too slow for.", []string{"follower"}, nil)
	malformedEvents = prometheus.NewDesc("weft_malformed_events_total",
		"Records of the datapath that made no sense.", nil, nil)
)

// Collector shows the datapath's counters and the observer's losses to Prometheus.
type Collector struct {
	observer *Observer
	counters func() (map[ring.CounterKey]abi.Counter, error)
}

// NewCollector makes a collector; counters gives the datapath's counters, summed over CPUs (see ring.CountersOf).
func NewCollector(o *Observer, counters func() (map[ring.CounterKey]abi.Counter, error)) *Collector {
	return &Collector{o, counters}
}

// Describe names the series.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{dropCount, dropBytes, forwardCount, forwardBytes, lostEvents, lostFlows, malformedEvents} {
		out <- d
	}
	for _, f := range c.observer.followers {
		f.collector.Describe(out)
	}
}

// series are the labels of one series of a drop or forward counter.
type series struct{ reason, direction string }

// Collect reads the counters.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	o := c.observer
	out <- prometheus.MustNewConstMetric(lostEvents, prometheus.CounterValue, float64(o.losses[lostByKernel].Load()), "PERF_EVENT_RING_BUFFER")
	out <- prometheus.MustNewConstMetric(lostEvents, prometheus.CounterValue, float64(o.losses[lostByFollower].Load()), "HUBBLE_RING_BUFFER")
	out <- prometheus.MustNewConstMetric(malformedEvents, prometheus.CounterValue, float64(o.malformed.Load()))
	for _, f := range o.followers {
		out <- prometheus.MustNewConstMetric(lostFlows, prometheus.CounterValue, float64(f.lost.Load()), f.name)
		f.collector.Collect(out)
	}
	counters, err := c.counters()
	if err != nil {
		out <- prometheus.NewInvalidMetric(dropCount, err)
		return
	}
	sums := map[series]abi.Counter{}
	for key, n := range counters {
		at := series{direction: way(key.Hook).String()}
		if at.direction == "TRAFFIC_DIRECTION_UNKNOWN" {
			at.direction = "UNKNOWN"
		}
		if key.Reason != abi.DropNone {
			at.reason = flow.DropText(uint32(key.Reason))
		}
		sum := sums[at]
		sum.Packets += n.Packets
		sum.Bytes += n.Bytes
		sums[at] = sum
	}
	for at, n := range sums {
		count, bytes, labels := dropCount, dropBytes, []string{at.reason, at.direction}
		if at.reason == "" {
			count, bytes, labels = forwardCount, forwardBytes, []string{at.direction}
		}
		out <- prometheus.MustNewConstMetric(count, prometheus.CounterValue, float64(n.Packets), labels...)
		out <- prometheus.MustNewConstMetric(bytes, prometheus.CounterValue, float64(n.Bytes), labels...)
	}
}
