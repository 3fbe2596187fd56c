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

// Ended tells what a connection has carried, of the flow that tells of its end; false: it is of something else.
func (f *Flow) Ended() (flow.Close, bool) {
	end, ok := f.more.(flow.Close)
	return end, ok
}

// nothing is what a follower shows that is served elsewhere.
type nothing struct{}

// Describe implements prometheus.Collector.
func (nothing) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (nothing) Collect(chan<- prometheus.Metric) {}
