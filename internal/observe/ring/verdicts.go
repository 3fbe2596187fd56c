package ring

import (
	"fmt"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/cilium/ebpf"
	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
)

var verdictsGiven = prometheus.NewDesc("weft_policy_verdicts_total",
	"Verdicts that policies gave when a connection began, or was judged anew after a change, counted by the programs.",
	[]string{"direction", "match", "action"}, nil)

// VerdictKey is one counter of the programs: what a policy said of new connections, and by what its rule matched.
type VerdictKey struct {
	Direction abi.Direction
	Verdict   abi.Verdict
	Match     abi.Match
}

// VerdictsOf gives a function that reads map policy_verdicts, summed over all CPUs, without those at zero.
func VerdictsOf(verdicts *ebpf.Map) func() (map[VerdictKey]uint64, error) {
	return func() (map[VerdictKey]uint64, error) {
		var (
			at    uint32
			each  []uint64
			total = map[VerdictKey]uint64{}
		)
		list := verdicts.Iterate()
		for list.Next(&at, &each) {
			var sum uint64
			for _, n := range each {
				sum += n
			}
			if sum > 0 {
				total[VerdictKey{abi.Direction(at >> abi.VerdictsDirection), abi.Verdict(at >> abi.VerdictsVerdict & 7), abi.Match(at & 7)}] = sum
			}
		}
		if err := list.Err(); err != nil {
			return nil, fmt.Errorf("read map policy_verdicts: %w", err)
		}
		return total, nil
	}
}

// Verdicts shows to Prometheus what policies say of new connections. Its labels have the words of hubble_policy_verdicts_total, which
// counts the same by events.
type Verdicts struct {
	read func() (map[VerdictKey]uint64, error)
}

// NewVerdicts makes a collector of what VerdictsOf reads.
func NewVerdicts(read func() (map[VerdictKey]uint64, error)) Verdicts { return Verdicts{read} }

// Describe implements prometheus.Collector.
func (Verdicts) Describe(out chan<- *prometheus.Desc) { out <- verdictsGiven }

// actions are the verdicts that there can be, as Hubble calls them.
var actions = map[abi.Verdict]flowpb.Verdict{
	abi.VerdictAllow: flowpb.Verdict_FORWARDED, abi.VerdictDeny: flowpb.Verdict_DROPPED, abi.VerdictDenyImplicit: flowpb.Verdict_DROPPED,
	abi.VerdictAudit: flowpb.Verdict_AUDIT, abi.VerdictRedirect: flowpb.Verdict_REDIRECTED,
}

// Collect implements prometheus.Collector. What rules can match on is there before the first verdict: what begins with another number
// than 0 has not increased, to Prometheus.
func (v Verdicts) Collect(out chan<- prometheus.Metric) {
	given, err := v.read()
	if err != nil {
		out <- prometheus.NewInvalidMetric(verdictsGiven, err)
		return
	}
	type labels struct {
		direction abi.Direction
		match     abi.Match
		action    flowpb.Verdict
	}
	sums := map[labels]uint64{}
	for _, direction := range []abi.Direction{abi.DirectionIngress, abi.DirectionEgress} {
		for match := abi.MatchNone; match <= abi.MatchProtoOnly; match++ {
			for _, action := range actions {
				sums[labels{direction, match, action}] = 0
			}
		}
	}
	for key, n := range given {
		sums[labels{key.Direction, key.Match, actions[key.Verdict]}] += n
	}
	for of, n := range sums {
		out <- prometheus.MustNewConstMetric(verdictsGiven, prometheus.CounterValue, float64(n), strings.ToLower(flowpb.TrafficDirection(of.direction).String()),
			strings.ToLower(flow.MatchText(uint32(of.match))), strings.ToLower(of.action.String()))
	}
}
