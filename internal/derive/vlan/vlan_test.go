package vlan_test

import (
	"fmt"
	"strings"
	"testing"

	derive "weftnet.io/weftnet/internal/derive/vlan"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/vlan"
)

type bench struct {
	*testing.T
	t   *table.Tables
	db  *state.DB
	run state.AnyDerivation
}

func (b *bench) write(fn func(tx *state.Tx)) {
	_ = b.db.Write(func(tx *state.Tx) error { fn(tx); return nil })
	b.run.Step(b.db)
}

func (b *bench) expect(want string) {
	b.Helper()
	var list []string
	for d := range vlan.Devices.All(b.db.Snapshot()) {
		list = append(list, fmt.Sprintf("%s tag %d on %s (%d)", d.Name, d.Tag, d.Parent, d.On))
	}
	if got := strings.Join(list, ", "); got != want {
		b.Errorf("the node is to have %q, want %q", got, want)
	}
}

func TestAVLANDeviceIsWantedFromItsFirstNICToItsLast(t *testing.T) {
	tables, db := table.New()
	b := &bench{t, tables, db, derive.Derivations(tables)[0]}
	nic := func(container, uplink string) network.Interface {
		return network.Interface{ContainerID: container, First: "eth0", Interface: "net1", Uplink: uplink}
	}
	one, two := nic("c1", "ens192.100"), nic("c2", "ens192.100")
	b.write(func(tx *state.Tx) { network.Interfaces.Put(tx, nic("c0", "ens192")) })
	b.expect("")
	b.write(func(tx *state.Tx) { network.Interfaces.Put(tx, one) })
	b.expect("ens192.100 tag 100 on ens192 (0)")
	b.write(func(tx *state.Tx) { tables.Devices.Put(tx, table.Device{Index: 3, Name: "ens192"}) })
	b.expect("ens192.100 tag 100 on ens192 (3)")
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, network.Made{Want: one})
		network.Interfaces.Put(tx, two)
	})
	b.write(func(tx *state.Tx) {
		network.Interfaces.Delete(tx, network.Interfaces.Key(one))
		network.Interfaces.Delete(tx, network.Interfaces.Key(two))
	})
	b.expect("ens192.100 tag 100 on ens192 (3)") // one is not taken away yet
	b.write(func(tx *state.Tx) {                 // the parent goes, and another comes
		tables.Devices.Delete(tx, state.Join(uint32(3)))
		tables.Devices.Put(tx, table.Device{Index: 9, Name: "ens192"})
	})
	b.expect("ens192.100 tag 100 on ens192 (9)")
	b.write(func(tx *state.Tx) { network.Finished.Delete(tx, network.Finished.Key(network.Made{Want: one})) })
	b.expect("")
}

func TestAPodWaitsForTheVLANDevicesOfItsNICs(t *testing.T) {
	tables, db := table.New()
	_, needs := derive.Needs(tables)
	_ = db.Write(func(tx *state.Tx) error {
		network.Interfaces.Put(tx, network.Interface{ContainerID: "c1", First: "eth0", Interface: "net1", Uplink: "ens192.100"})
		network.Interfaces.Put(tx, network.Interface{ContainerID: "c1", First: "eth0", Interface: "net2", Uplink: "ens192"})
		return nil
	})
	list := needs(db.Snapshot(), table.Attachment{ContainerID: "c1", Interface: "eth0"})
	if len(list) != 1 || list[0].What != "VLAN device ens192.100 of NIC net1" || list[0].Table != "vlan-devices" {
		t.Errorf("a pod waits for %+v", list)
	}
}
