package measure

import (
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/metric"
	"weftnet.io/weftnet/internal/identity"
)

// policies counts verdicts of policies, but those about what the node itself sends to its pods.
type policies struct {
	context
	total *series[prometheus.Counter]
}

func newPolicy(m metric.Metric, limit int) handler {
	c := contextOf(m)
	return &policies{c, counters("hubble_policy_verdicts_total", "Total number of Cilium network policy verdicts", append([]string{"direction", "match", "action"}, c.names()...), limit)}
}

func (h *policies) series() []anySeries { return []anySeries{h.total} }

func (h *policies) take(f *flowpb.Flow) {
	match := ""
	switch f.GetEventType().GetType() {
	case flow.EventPolicyVerdict:
		if f.GetSource().GetIdentity() == uint32(identity.Host) {
			return
		}
		match = flow.MatchText(f.GetPolicyMatchType())
	case flow.EventL7:
		_, sub := kindOf(f)
		match = "l7/" + sub
	default:
		return
	}
	values := []string{strings.ToLower(f.GetTrafficDirection().String()), strings.ToLower(match), strings.ToLower(f.GetVerdict().String())}
	h.total.at(h.pods(f), append(values, h.values(f, false)...)...).Inc()
}
