package station

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/station"
)

// bench is a node's tables, and the derivations stepped by hand.
type bench struct {
	*testing.T
	t    *table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

func newBench(t *testing.T) *bench {
	tables, db := table.New()
	return &bench{t, tables, db, Derivations(tables)}
}

func (b *bench) write(fn func(tx *state.Tx)) {
	b.Helper()
	if err := b.db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		b.Fatal(err)
	}
	for range 3 {
		for _, r := range b.runs {
			r.Step(b.db)
		}
	}
}

func (b *bench) policy(networks string) func(tx *state.Tx) {
	return func(tx *state.Tx) {
		b.t.Configs.Put(tx, table.Config{Concern: settings.OfNetworks, Settings: settings.Config{Networks: settingsnetwork.Networks{Policy: networks}}})
	}
}

// stations lists who is behind uplinks, in words.
func (b *bench) stations() string {
	var list []string
	for s := range station.Stations.All(b.db.Snapshot()) {
		who := "node"
		if s.NIC != 0 {
			who = "NIC"
		}
		list = append(list, strings.Join([]string{s.Device, s.MAC, who}, " "))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (b *bench) expect(want string, insides int) {
	b.Helper()
	if have := b.stations(); have != want {
		b.Errorf("stations: %s; want %s", have, want)
	}
	if have := station.Insides.Len(b.db.Snapshot()); have != insides {
		b.Errorf("%d NICs are to have programs, want %d", have, insides)
	}
}

func made(container, mac, config string) network.Made {
	return network.Made{
		Want: network.Interface{ContainerID: container, First: "eth0", Interface: "net1", Wire: "ens192", Config: config},
		MAC:  mac, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.100.5/24")},
	}
}

const macvlan = `{"name": "storage", "plugins": [{"type": "macvlan", "master": "ens192"}]}`

func TestAnUplinkIsWatchedWhileANICOfPolicySharesIt(t *testing.T) {
	b := newBench(t)
	b.write(func(tx *state.Tx) {
		b.t.Devices.Put(tx, table.Device{Index: 3, Name: "ens192", MAC: "02:00:00:00:50:01"})
		b.t.Devices.Put(tx, table.Device{Index: 4, Name: "ens192.100", On: 3, MAC: "02:00:00:00:50:02"})
		network.Finished.Put(tx, made("c1", "02:00:00:00:0a:01", macvlan))
	})
	b.expect("", 0) // nothing asks for it
	b.write(b.policy(settingsnetwork.All))
	b.expect("ens192  node, ens192 02:00:00:00:0a:01 NIC, ens192 02:00:00:00:50:01 node, ens192 02:00:00:00:50:02 node", 0)

	// Its own programs wait for its row in the kernel, and then for nothing any more.
	m := station.Member{ContainerID: "c1", Interface: "net1"}
	b.write(func(tx *state.Tx) { b.t.NICStatuses.Put(tx, table.NICStatus{Incarnation: m.Incarnation()}) })
	b.expect("ens192  node, ens192 02:00:00:00:0a:01 NIC, ens192 02:00:00:00:50:01 node, ens192 02:00:00:00:50:02 node", 1)

	// A pair has a side on the node, and it is not known where that leads.
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, made("c2", "02:00:00:00:0a:02", `{"plugins": [{"type": "ptp"}]}`))
	})
	if n := station.Members.Len(b.db.Snapshot()); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
	b.write(func(tx *state.Tx) { network.Finished.Delete(tx, table.AttachmentKey("c1", "net1")) })
	b.expect("", 0)
}

// A bridge is no uplink: each NIC has a port of its own, which is watched once its row is in the kernel.
func TestAPortIsOfItsNIC(t *testing.T) {
	b := newBench(t)
	nic := func(container, mac, port, config string) network.Made {
		m := made(container, mac, `{"plugins": [{"type": "bridge", "bridge": "br0"`+config+`}]}`)
		m.HostName = port
		return m
	}
	b.write(func(tx *state.Tx) {
		b.t.Devices.Put(tx, table.Device{Index: 5, Name: "br0", MAC: "02:00:00:00:50:05"})
		b.t.Devices.Put(tx, table.Device{Index: 6, Name: "veth1", Master: 5})
		b.t.Devices.Put(tx, table.Device{Index: 7, Name: "veth2", Master: 5})
		network.Finished.Put(tx, nic("c1", "02:00:00:00:0a:01", "veth1", `, "vlanTrunk": [{"id": 5}]`))
		network.Found.Put(tx, nic("c2", "02:00:00:00:0a:02", "veth2", ""))
		network.Finished.Put(tx, nic("c3", "02:00:00:00:0a:03", "veth9", "")) // it is gone
	})
	b.expect("", 0)
	b.write(b.policy(settingsnetwork.All))
	b.expect("", 0)
	for _, container := range []string{"c1", "c2"} {
		m := station.Member{ContainerID: container, Interface: "net1"}
		b.write(func(tx *state.Tx) { b.t.NICStatuses.Put(tx, table.NICStatus{Incarnation: m.Incarnation()}) })
	}
	b.expect("veth1  NIC, veth2  NIC", 0)
	for s := range station.Stations.All(b.db.Snapshot()) {
		if s.Trunk != (s.Device == "veth1") || !s.Port {
			t.Errorf("station %+v", s)
		}
	}
	for m := range station.Members.All(b.db.Snapshot()) {
		if m.Uplink != "br0" || m.Index != 5 {
			t.Errorf("member %+v", m)
		}
	}
	b.write(func(tx *state.Tx) { network.Found.Delete(tx, table.AttachmentKey("c2", "net1")) })
	b.expect("veth1  NIC", 0)

	// Without policy there is nothing to watch, but for MAC addresses where the definition says so.
	b.write(b.policy(settingsnetwork.Primary))
	b.expect("", 0)
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, nic("c2", "02:00:00:00:0a:02", "veth2", `, "weftnet.io/mac-guard": true`))
	})
	b.expect("veth2  node, veth2 02:00:00:00:0a:02 node", 0)
}

func TestWithPrimaryAloneNoUplinkIsWatched(t *testing.T) {
	b := newBench(t)
	b.write(func(tx *state.Tx) {
		b.t.Devices.Put(tx, table.Device{Index: 3, Name: "ens192", MAC: "02:00:00:00:50:01"})
		network.Finished.Put(tx, made("c1", "02:00:00:00:0a:01", macvlan))
		b.policy(settingsnetwork.All)(tx)
	})
	b.write(b.policy(settingsnetwork.Primary))
	b.expect("", 0)
}

// Who may delete a definition opens nothing by it.
func TestADefinitionThatIsGoneSaysWhatItDidWhenItsNICWasMade(t *testing.T) {
	const open, closed = "", "ens192  node, ens192 02:00:00:00:0a:01 NIC, ens192 02:00:00:00:50:01 node"
	for _, c := range []struct{ made, now, key, there, gone string }{
		{settingsnetwork.All, settingsnetwork.All, settingsnetwork.Primary, closed, closed},
		{settingsnetwork.All, settingsnetwork.Primary, settingsnetwork.Primary, open, closed},
		{"", "", settingsnetwork.Primary, open, open},
		{"", "", settingsnetwork.All, closed, closed},
		{settingsnetwork.Primary, settingsnetwork.All, settingsnetwork.All, closed, closed}, // it might never open that
	} {
		b := newBench(t)
		nic := made("c1", "02:00:00:00:0a:01", macvlan)
		nic.Want.Definition, nic.Want.Policy = "shop/storage", c.made
		b.write(func(tx *state.Tx) {
			b.t.Devices.Put(tx, table.Device{Index: 3, Name: "ens192", MAC: "02:00:00:00:50:01"})
			network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "storage", Policy: c.now})
			network.Finished.Put(tx, nic)
			b.policy(c.key)(tx)
		})
		b.expect(c.there, 0)
		b.write(func(tx *state.Tx) { network.Definitions.Delete(tx, table.ObjectKey("shop", "storage")) })
		b.expect(c.gone, 0)
	}
}

func TestNumbersOfMembersAreThoseOfNothingElse(t *testing.T) {
	m := station.Member{ContainerID: "c1", Interface: "net1"}
	if n := m.Incarnation(); n < 1<<30 || n >= 1<<31 {
		t.Errorf("number %#x: attachments count from 1, owners of services begin at 0x80000000", n)
	}
	if nic := m.NIC(); nic < 1<<31 {
		t.Errorf("NIC %#x may be the index of a device", nic)
	}
	for _, wire := range []string{"ens192", "ens192, VLAN 100", ""} {
		if n := station.NetworkOf(wire); n <= overlay.Last || n > 0xffff {
			t.Errorf("network %d of %q", n, wire)
		}
	}
}
