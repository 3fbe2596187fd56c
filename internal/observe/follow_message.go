package observe

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Follow gives each flow to take, in order, from when the observer runs: at the pace of take, which loses what it is too slow for
// (weft_follower_lost_flows_total). It is to be called before Run.
func (o *Observer) Follow(name string, take func(*Flow)) {
	o.followers = append(o.followers, &following{follower: follower{name: name, take: take, collector: nothing{}}})
}

// nothing is what a follower shows that is served elsewhere.
type nothing struct{}

// Describe implements prometheus.Collector.
func (nothing) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (nothing) Collect(chan<- prometheus.Metric) {}
