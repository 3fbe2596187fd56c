package measure

import (
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func BenchmarkTake(b *testing.B) {
	t := &testing.T{}
	for name, list := range map[string]string{
		"plain":  "drop tcp flow icmp port-distribution policy",
		"labels": "drop:labelsContext=source_namespace,source_workload,destination_namespace,destination_workload tcp flow:sourceContext=workload-name|reserved-identity;destinationContext=workload-name|reserved-identity icmp port-distribution policy",
	} {
		m := made(t, list, 10000)
		flows := []*flowpb.Flow{flowOf(t, allowed), flowOf(t, passes), flowOf(t, answer), flowOf(t, ended)}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				m.Take(flows[i%len(flows)])
			}
		})
	}
}
