package measure

import (
	"slices"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow/metric"
)

// world counts flows to what is outside the cluster.
type world struct {
	context
	anyDrop bool // drops for any reason, not by policy alone
	port    bool // by port
	synOnly bool // only what opens a connection of TCP
	total   *series[prometheus.Counter]
}

func newWorld(m metric.Metric, limit int) handler {
	h := &world{context: contextOf(m), anyDrop: m.Has("any-drop"), port: m.Has("port"), synOnly: m.Has("syn-only")}
	labels := []string{"protocol", "verdict"}
	if h.port {
		labels = append(labels, "port")
	}
	h.total = counters("hubble_flows_to_world_total", "Total number of flows to reserved:world", append(labels, h.names()...), limit)
	return h
}

func (h *world) series() []anySeries { return []anySeries{h.total} }

func (h *world) take(f *flowpb.Flow) {
	dropped, reply := f.GetVerdict() == flowpb.Verdict_DROPPED, f.GetIsReply().GetValue()
	switch {
	case f.GetL4() == nil || f.GetEventType() == nil || !slices.ContainsFunc(f.GetDestination().GetLabels(), isWorld):
		return
	case dropped && !h.anyDrop && f.GetDropReasonDesc() != flowpb.DropReason_POLICY_DENIED:
		return
	case !dropped && reply: // its port says nothing
		return
	case h.synOnly && (reply || !f.GetL4().GetTCP().GetFlags().GetSYN()):
		return
	}
	values := []string{protocol(f), f.GetVerdict().String()}
	if h.port {
		values = append(values, portOf(f, ""))
	}
	h.total.at(h.pods(f), append(values, h.values(f, false)...)...).Inc()
}

func isWorld(label string) bool {
	return label == "reserved:world" || label == "reserved:world-ipv4" || label == "reserved:world-ipv6"
}
