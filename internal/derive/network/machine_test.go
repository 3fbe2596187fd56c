package network_test

import (
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/machine"
	"weftnet.io/weftnet/internal/table/network"
)

// press is the pod of a machine, with the annotation that KubeVirt writes.
func press() table.Pod {
	p := pod(`[{"name": "lan", "namespace": "shop", "interface": "` + kubevirt.Interface("storage") + `"}]`)
	p.Owner = machine.Owner("shop", "press")
	p.Made.Kind, p.Made.Name = "VirtualMachineInstance", "press"
	return p
}

func vm(own, mac string) machine.Machine {
	return machine.Machine{Namespace: "shop", Name: "press", Own: own, NICs: []machine.NIC{{Name: "storage", Definition: "shop/lan", MAC: mac}}}
}

func TestANICHasWhatItsMachineAsksForAndStaysWhenThatChanges(t *testing.T) {
	b := newBench()
	lacks := func() string {
		for w := range network.Troubles.All(b.db.Snapshot()) {
			return w.Lacks
		}
		return ""
	}
	one := func() (i network.Interface) {
		for i = range network.Interfaces.All(b.db.Snapshot()) {
		}
		return i
	}
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, press())
		d := macvlan("shop", "lan", "ens224")
		d.Config = strings.Replace(d.Config, `"cniVersion"`, `"ipam": {"type": "static"}, "capabilities": {"ips": true, "mac": true}, "cniVersion"`, 1)
		network.Definitions.Put(tx, d)
	})
	b.step()
	if got := lacks(); !strings.HasPrefix(got, "VirtualMachineInstance shop/press, which says what its NICs are") || one().Interface != "" {
		t.Errorf("before the machine is known: lacks %q, %s", got, b.rows())
	}
	if got := b.needs(); !strings.Contains(got, "VirtualMachineInstance shop/press") {
		t.Errorf("the ADD waits for %q", got)
	}
	b.write(func(tx *state.Tx) {
		machine.Instances.Put(tx, machine.Instance{Namespace: "shop", Name: "press", Machine: "press"})
		machine.Machines.Put(tx, vm(`[{"name": "lan", "ips": ["10.0.0.9/24"], "mac": "02:00:00:00:00:09"}]`, "02:00:00:00:00:07"))
	})
	b.step()
	if got := lacks(); !strings.HasSuffix(got, "it is 02:00:00:00:00:07, and an annotation asks for 02:00:00:00:00:09; the guest can have one") || one().Interface != "" {
		t.Errorf("two MAC addresses: lacks %q, %s", got, b.rows())
	}
	b.write(func(tx *state.Tx) {
		machine.Machines.Put(tx, vm(`[{"name": "lan", "ips": ["10.0.0.9/24"]}]`, "02:00:00:00:00:07"))
	})
	b.step()
	i := one()
	if len(i.Addresses) != 1 || i.Addresses[0].String() != "10.0.0.9/24" || i.MAC != "02:00:00:00:00:07" || i.Owner != (network.Owner{Machine: true, Name: "press"}) || lacks() != "" {
		t.Fatalf("have %v %s of %v, lacks %q", i.Addresses, i.MAC, i.Owner, lacks())
	}
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, made(i))
		machine.Machines.Put(tx, vm(`[{"name": "lan", "ips": ["10.0.0.10/24"]}]`, ""))
	})
	b.step()
	if now := one(); now.Addresses[0] != i.Addresses[0] || now.MAC != i.MAC {
		t.Errorf("a machine that runs has got %v %s", now.Addresses, now.MAC)
	}
	b.write(func(tx *state.Tx) {
		machine.Machines.Delete(tx, table.ObjectKey("shop", "press"))
		machine.Instances.Delete(tx, table.ObjectKey("shop", "press"))
	})
	b.step()
	if one().Interface == "" {
		t.Error("its NIC is not wanted any more, since the machine is gone before its pod")
	}
}

func TestAddressesAreOrderedThatAMachineAsksFor(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, press())
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "lan", Config: ranged})
		machine.Instances.Put(tx, machine.Instance{Namespace: "shop", Name: "press", Machine: "press"})
		machine.Machines.Put(tx, vm(`[{"name": "lan", "ips": ["10.0.200.50"]}]`, "02:00:00:00:00:07"))
	})
	b.step()
	for o := range grant.Orders.All(b.db.Snapshot()) {
		if len(o.Terms.Asked) != 1 || o.Terms.Asked[0].Addr().String() != "10.0.200.50" || o.MAC != "02:00:00:00:00:07" || o.Terms.Owner.Name != "press" {
			t.Errorf("ordered %+v", o)
		}
	}
	if grant.Orders.Len(b.db.Snapshot()) != 1 {
		t.Error("nothing is ordered")
	}
}
