package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
)

// Follow gives each flow to take, in order, from when the observer runs: at the pace of take, which loses what it is too slow for
// (weft_follower_lost_flows_total). It is to be called before Run.
func (o *Observer) Follow(name string, take func(*Flow)) {
	o.followers = append(o.followers, &following{follower: follower{name: name, take: take, collector: nothing{}}})
}

// Seen is how many flows there were.
func (o *Observer) Seen() uint64 { return o.seen.Load() }

// Carried tells what a connection has carried that no earlier flow has told; false: the flow is of something else.
func (f *Flow) Carried() (sent, received flow.Carried, ok bool) {
	c, ok := f.more.(flow.Close)
	sent, received = c.News()
	return sent, received, ok
}

// nothing is what a follower shows that is served elsewhere.
type nothing struct{}

// Describe implements prometheus.Collector.
func (nothing) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (nothing) Collect(chan<- prometheus.Metric) {}
