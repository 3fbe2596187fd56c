package measure

import (
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/google/go-cmp/cmp"

	"weftnet.io/weftnet/internal/flow"
)

func TestWhatPodsOfTheNodeCarryIsCounted(t *testing.T) {
	web := &flowpb.Endpoint{ID: 7, Namespace: "shop", PodName: "web-1"}
	machine := &flowpb.Endpoint{ID: 8, Namespace: "lab", PodName: "virt-launcher-win-10-x7k2p"}
	elsewhere := &flowpb.Endpoint{Namespace: "store", PodName: "db-0"}
	c := NewCarried(100)
	carry := func(from, to *flowpb.Endpoint) {
		c.Take(from, to, flow.Carried{Packets: 1, Bytes: 100}, flow.Carried{Packets: 2, Bytes: 2000})
	}
	carry(web, elsewhere)
	carry(web, machine)
	want := `weft_namespace_bytes_total{direction="receive",namespace="lab"} 100
weft_namespace_bytes_total{direction="receive",namespace="shop"} 4000
weft_namespace_bytes_total{direction="transmit",namespace="lab"} 2000
weft_namespace_bytes_total{direction="transmit",namespace="shop"} 200
weft_namespace_packets_total{direction="receive",namespace="lab"} 1
weft_namespace_packets_total{direction="receive",namespace="shop"} 4
weft_namespace_packets_total{direction="transmit",namespace="lab"} 2
weft_namespace_packets_total{direction="transmit",namespace="shop"} 2
`
	if diff := cmp.Diff(want, shown(t, c)); diff != "" {
		t.Error(diff)
	}
	c.By(true, true)
	carry(elsewhere, machine)
	now := time.Unix(1e9, 0)
	for range 2 {
		c.Forget(now, func(p Pod) bool { return p.Name != "web-1" })
		now = now.Add(grace)
	}
	want = `weft_namespace_bytes_total{direction="receive",namespace="lab"} 200
weft_namespace_bytes_total{direction="receive",namespace="shop"} 4000
weft_namespace_bytes_total{direction="transmit",namespace="lab"} 4000
weft_namespace_bytes_total{direction="transmit",namespace="shop"} 200
weft_namespace_packets_total{direction="receive",namespace="lab"} 2
weft_namespace_packets_total{direction="receive",namespace="shop"} 4
weft_namespace_packets_total{direction="transmit",namespace="lab"} 4
weft_namespace_packets_total{direction="transmit",namespace="shop"} 2
weft_pod_bytes_total{direction="receive",namespace="lab",pod="virt-launcher-win-10-x7k2p"} 100
weft_pod_bytes_total{direction="transmit",namespace="lab",pod="virt-launcher-win-10-x7k2p"} 2000
weft_pod_packets_total{direction="receive",namespace="lab",pod="virt-launcher-win-10-x7k2p"} 1
weft_pod_packets_total{direction="transmit",namespace="lab",pod="virt-launcher-win-10-x7k2p"} 2
weft_vm_bytes_total{direction="receive",namespace="lab",vm="win-10"} 100
weft_vm_bytes_total{direction="transmit",namespace="lab",vm="win-10"} 2000
weft_vm_packets_total{direction="receive",namespace="lab",vm="win-10"} 1
weft_vm_packets_total{direction="transmit",namespace="lab",vm="win-10"} 2
`
	if diff := cmp.Diff(want, shown(t, c)); diff != "" {
		t.Error(diff)
	}
}
