package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
)

func TestVerdictsAreShownInTheWordsOfHubble(t *testing.T) {
	given, failure := map[VerdictKey]uint64{}, error(nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewVerdicts(func() (map[VerdictKey]uint64, error) { return given, failure }))
	have := func() map[string]float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatal(families, err)
		}
		out := map[string]float64{}
		for _, m := range families[0].GetMetric() {
			var name []string
			for _, l := range m.GetLabel() {
				name = append(name, l.GetName()+"="+l.GetValue())
			}
			out[strings.Join(name, " ")] = m.GetCounter().GetValue()
		}
		return out
	}
	if n, there := have()["action=forwarded direction=ingress match=l3-l4"]; n != 0 || !there {
		t.Error("a counter is not there before the first verdict")
	}
	given = map[VerdictKey]uint64{
		{abi.DirectionIngress, abi.VerdictAllow, abi.MatchL3L4}:       3,
		{abi.DirectionEgress, abi.VerdictDeny, abi.MatchL3Only}:       4,
		{abi.DirectionEgress, abi.VerdictDenyImplicit, abi.MatchNone}: 5,
		{abi.DirectionEgress, abi.VerdictDeny, abi.MatchNone}:         6,
		{abi.DirectionIngress, abi.VerdictAudit, abi.MatchAll}:        7,
	}
	n, sum := have(), 0.0
	for name, want := range map[string]float64{
		"action=forwarded direction=ingress match=l3-l4": 3, "action=dropped direction=egress match=l3-only": 4,
		"action=dropped direction=egress match=none": 11, "action=audit direction=ingress match=all": 7,
	} {
		if n[name] != want {
			t.Errorf("%s is %v, want %v", name, n[name], want)
		}
	}
	for _, one := range n {
		sum += one
	}
	if sum != 25 {
		t.Errorf("all together are %v, want 25", sum)
	}
	failure = errors.New("no map")
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "no map") {
		t.Errorf("a map that cannot be read is told as %v", err)
	}
}
