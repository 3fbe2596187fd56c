package relay

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/connectivity"
)

// numbers are what a relay tells of itself to Prometheus.
type numbers struct {
	peers                Peers
	requests, flows      atomic.Uint64
	running              atomic.Int64
	lost                 atomic.Uint64
	status               *prometheus.Desc
	asked, sent, missing *prometheus.Desc
	open                 *prometheus.Desc
}

func newNumbers(p Peers) *numbers {
	return &numbers{
		peers:   p,
		status:  prometheus.NewDesc("hubble_relay_pool_peer_connection_status", "Nodes by the state of the connection to them.", []string{"status"}, nil),
		asked:   prometheus.NewDesc("weft_relay_requests_total", "Requests for flows.", nil, nil),
		open:    prometheus.NewDesc("weft_relay_requests", "Requests for flows that are being answered.", nil, nil),
		sent:    prometheus.NewDesc("weft_relay_flows_total", "Flows that clients were sent.", nil, nil),
		missing: prometheus.NewDesc("weft_relay_lost_flows_total", "Flows of which clients were told that they are lost.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (n *numbers) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{n.status, n.asked, n.open, n.sent, n.missing} {
		out <- d
	}
}

// unspoken is the state of a node that cannot be spoken with, as upstream calls it.
const unspoken = "NIL_CONNECTION"

// Collect implements prometheus.Collector.
func (n *numbers) Collect(out chan<- prometheus.Metric) {
	states := map[string]int{unspoken: 0}
	for _, s := range []connectivity.State{connectivity.Idle, connectivity.Connecting, connectivity.Ready, connectivity.TransientFailure, connectivity.Shutdown} {
		states[s.String()] = 0
	}
	all, _ := n.peers.List()
	for _, p := range all {
		if p.Conn == nil {
			states[unspoken]++
			continue
		}
		states[p.State.String()]++
	}
	for state, count := range states {
		out <- prometheus.MustNewConstMetric(n.status, prometheus.GaugeValue, float64(count), state)
	}
	out <- prometheus.MustNewConstMetric(n.asked, prometheus.CounterValue, float64(n.requests.Load()))
	out <- prometheus.MustNewConstMetric(n.open, prometheus.GaugeValue, float64(n.running.Load()))
	out <- prometheus.MustNewConstMetric(n.sent, prometheus.CounterValue, float64(n.flows.Load()))
	out <- prometheus.MustNewConstMetric(n.missing, prometheus.CounterValue, float64(n.lost.Load()))
}
