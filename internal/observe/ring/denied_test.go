package ring

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"weftnet.io/weftnet/internal/bpf/abi"
)

func TestWhatPoliciesDenyIsCountedByPrograms(t *testing.T) {
	counters, failure := map[CounterKey]abi.Counter{}, error(nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(DeniedOf(func() (map[CounterKey]abi.Counter, error) { return counters, failure }))
	denied := func() float64 {
		t.Helper()
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetMetric()[0].GetLabel()[0].GetValue() != "DENIED" {
			t.Fatal(families, err)
		}
		return families[0].GetMetric()[0].GetCounter().GetValue()
	}
	if denied() != 0 {
		t.Error("something is denied before the first drop")
	}
	counters = map[CounterKey]abi.Counter{
		{Hook: abi.HookFromPod, Reason: abi.DropPolicy}:        {Packets: 3},
		{Hook: abi.HookToPod, Reason: abi.DropPolicyDeny}:      {Packets: 4},
		{Hook: abi.HookToPod, Reason: abi.DropInvalidSourceIp}: {Packets: 50},
		{Hook: abi.HookToPod, Reason: abi.DropNone}:            {Packets: 600},
	}
	if n := denied(); n != 7 {
		t.Errorf("%v packets are denied, want 7", n)
	}
	failure = errors.New("no map")
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "no map") {
		t.Errorf("a map that cannot be read is told as %v", err)
	}
}
