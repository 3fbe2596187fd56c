package observe

import (
	"net/netip"
	"testing"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/flow/filter"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

func TestAFlowNamesTheMachineInThePodAndTheNICAsThePodSeesIt(t *testing.T) {
	o := observer(t, func(*Options) {})
	err := o.db.Write(func(tx *state.Tx) error {
		labels := identity.NewLabels(map[string]string{"k8s:kubevirt.io": "virt-launcher"})
		o.tables.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web-1", Labels: map[string]string{identity.LabelVMName: "web"}})
		o.tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c1", Interface: "eth0", HostName: "weft7", Namespace: "shop", Pod: "web-1", Incarnation: 12, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")},
		})
		o.tables.Identities.Put(tx, table.Identity{Number: 400, Labels: labels})
		o.tables.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "virt-launcher-my-db-x7k2p", Identity: 400, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.9")}})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o.take(syn(func(*abi.Event) {}))
	o.take(syn(func(e *abi.Event) { e.Src, e.Dst, e.Source, e.Destination = addr("10.0.0.1"), addr("10.0.0.2"), 1, 2 }))
	f := o.journal.Find(0).Message()
	want := flow.Extra{Source: flow.Place{VM: "shop/web"}, Destination: flow.Place{VM: "shop/my-db"}}
	if have := flow.ExtraOf(f); have != want {
		t.Errorf("have %+v", have)
	}
	if have := f.GetInterface(); have.GetName() != "eth0" || have.GetIndex() != 7 {
		t.Errorf("have %v", have)
	}
	match, err := filter.New([]*flowpb.FlowFilter{{Experimental: &flowpb.FlowFilter_Experimental{CelExpression: []string{`_flow.extensions.destination.vm == "shop/my-db"`}}}}, nil)
	if err != nil || !match(f) {
		t.Errorf("the expression does not match: %v", err)
	}
	if plain := o.journal.Find(1).Message(); plain.GetExtensions() != nil || match(plain) {
		t.Errorf("have %v", plain.GetExtensions())
	}
}

func TestAnExtensionSaysWhatWasPutIn(t *testing.T) {
	for _, want := range []flow.Extra{
		{},
		{Network: 7, Source: flow.Place{NIC: "net1", Attachment: "shop/blue"}},
		{Progress: &flow.Close{
			Duration: 60e9, Sent: flow.Carried{Packets: 12, Bytes: 1200}, Received: flow.Carried{Packets: 3},
			ToldSent: flow.Carried{Packets: 10, Bytes: 1000}, ToldReceived: flow.Carried{Packets: 2},
		}},
		{Close: &flow.Close{Ending: "fin", Duration: 1200e6, Sent: flow.Carried{Packets: 12, Bytes: 1 << 40}, Received: flow.Carried{Packets: 3}}},
	} {
		have := flow.ExtraOf(&flowpb.Flow{Extensions: want.Extension()})
		if want.Close != nil {
			if have.Close == nil || *have.Close != *want.Close {
				t.Errorf("have %+v", have.Close)
			}
			have.Close = want.Close
		}
		if want.Progress != nil {
			if have.Progress == nil || *have.Progress != *want.Progress {
				t.Errorf("have %+v", have.Progress)
			}
			have.Progress = want.Progress
		}
		if have != want {
			t.Errorf("have %+v, want %+v", have, want)
		}
	}
}
