package nic

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/derive/need"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// bench is a node's tables, and the derivations stepped by hand, those of needs among them.
type bench struct {
	*testing.T
	t    *table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

func newBench(t *testing.T) *bench {
	tables, db := table.New()
	return &bench{t, tables, db, append(Derivations(tables), need.Needs(tables, Needs), need.Ready(tables))}
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

// done tells that a sink has put a row in place.
func (b *bench) done(tx *state.Tx, t interface{ Name() string }, key state.Key) {
	status.Statuses.Put(tx, status.Status{Table: t.Name(), Key: key, Done: true, Rev: 1})
}

var web = table.Attachment{
	ContainerID: "c1", Interface: "eth0", HostName: "weft0123456789", Incarnation: 7, MAC: "02:00:00:00:00:01", HostMAC: "02:00:00:00:00:02",
	Addresses: []netip.Addr{netip.MustParseAddr("10.244.1.5"), netip.MustParseAddr("fd00::5")},
}

func (b *bench) expect(nics, hooks, ready int) {
	b.Helper()
	s := b.db.Snapshot()
	if n, h, r := b.t.NICs.Len(s), b.t.Hooks.Len(s), b.t.Ready.Len(s); n != nics || h != hooks || r != ready {
		b.Errorf("%d NICs, %d hooks, %d ready; want %d, %d, %d", n, h, r, nics, hooks, ready)
	}
}

func TestANICComesIntoServiceStepByStepAndStaysWhileAStepIsRepeated(t *testing.T) {
	b := newBench(t)
	set := table.SetKey(300, "")
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, web)
		b.t.Devices.Put(tx, table.Device{Index: 9, Name: web.HostName, Up: true})
		b.t.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "eth0", Subject: table.Subject{Identity: 300, Set: set}, Addresses: web.Addresses})
	})
	b.expect(0, 0, 0) // its policy is not in force
	b.write(func(tx *state.Tx) { b.t.SetStatuses.Put(tx, table.SetStatus{Set: set, Index: 4, Revision: 1}) })
	b.expect(1, 0, 0) // it has a row, which is not in the kernel yet
	b.write(func(tx *state.Tx) { b.done(tx, b.t.NICs, state.Join(uint32(9))) })
	b.expect(1, 2, 0)
	b.write(func(tx *state.Tx) {
		b.done(tx, b.t.Hooks, state.Join(web.HostName, "from_pod"))
	})
	b.expect(1, 2, 0) // one of its programs is missing
	b.write(func(tx *state.Tx) { b.done(tx, b.t.Hooks, state.Join(web.HostName, "to_pod")) })
	b.expect(1, 2, 1)
	// Its identity changes: the row is written again, and nothing goes out of service for that.
	b.write(func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: b.t.NICs.Name(), Key: state.Join(uint32(9)), Rev: 1, Attempts: 1, Err: "busy"})
	})
	b.expect(1, 2, 1)
	// It ends backwards: its programs go when the kernel has no row of its NIC any more.
	b.write(func(tx *state.Tx) { b.t.Attachments.Delete(tx, b.t.Attachments.Key(web)) })
	b.expect(0, 2, 0)
	b.write(func(tx *state.Tx) {
		status.Statuses.Delete(tx, status.KeyOf(b.t.NICs, state.Join(uint32(9))))
	})
	b.expect(0, 0, 0)
}

func TestAProgramStaysOnANICOfAnEarlierAgentOfWhichNothingIsKnown(t *testing.T) {
	b := newBench(t)
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, web)
		b.t.Devices.Put(tx, table.Device{Index: 9, Name: web.HostName, Up: true})
		b.t.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "eth0", Addresses: web.Addresses})
		b.t.NICStatuses.Put(tx, table.NICStatus{Incarnation: 7, Identity: 300, SetIndex: 4})
	})
	b.expect(0, 0, 0) // what it is made of may come
	refused := status.Status{Table: b.t.NICs.Name(), Key: state.Join(uint32(9)), Attempts: 1, Err: "its attachment stands"}
	b.write(func(tx *state.Tx) { status.Statuses.Put(tx, refused) })
	b.expect(0, 2, 0)
	b.write(func(tx *state.Tx) { b.t.NICStatuses.Delete(tx, state.Join(web.Incarnation)) })
	b.write(func(tx *state.Tx) { status.Statuses.Delete(tx, status.KeyOf(b.t.NICs, refused.Key)) })
	b.expect(0, 0, 0)
}

func TestTheNodesOwnDevicesGetTheirPrograms(t *testing.T) {
	b := newBench(t)
	b.write(func(tx *state.Tx) {
		b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}})
		b.t.Tunnels.Put(tx, table.Tunnel{Name: "weft_vxlan", Kind: "vxlan", Port: 8472, MTU: 1450})
		b.t.Devices.Put(tx, table.Device{Index: 1, Name: "lo"})
		b.t.Devices.Put(tx, table.Device{Index: 2, Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.0.1/24")}})
		b.t.Devices.Put(tx, table.Device{Index: 3, Name: "weft_vxlan", Kind: "vxlan"})
		b.t.Devices.Put(tx, table.Device{Index: 4, Name: "eth1", Default: true})
		b.t.Devices.Put(tx, table.Device{Index: 5, Name: "docker0", Kind: "bridge"})
	})
	both := func(device, of string) []string { return []string{device + " from_" + of, device + " to_" + of} }
	for _, c := range []struct {
		devices string
		want    []string
	}{
		{"", slices.Concat(both("eth0", "net"), both("eth1", "net"), both("weft_vxlan", "overlay"))},
		{"dock+", slices.Concat(both("docker0", "net"), both("eth0", "net"), both("weft_vxlan", "overlay"))}, // that with the node's address, too
		{"eth1 docker", slices.Concat(both("eth0", "net"), both("eth1", "net"), both("weft_vxlan", "overlay"))},
		{"+", slices.Concat(both("docker0", "net"), both("eth0", "net"), both("eth1", "net"), both("weft_vxlan", "overlay"))}, // never lo
	} {
		b.write(func(tx *state.Tx) {
			b.t.Configs.Put(tx, table.Config{Concern: settings.OfDatapath, Settings: settings.Config{Datapath: settings.Datapath{Devices: strings.Fields(c.devices)}}})
		})
		var have []string
		for h := range b.t.Hooks.All(b.db.Snapshot()) {
			have = append(have, h.Device+" "+h.Program)
		}
		if slices.Sort(have); !slices.Equal(have, c.want) {
			t.Errorf("%q: %v, want %v", c.devices, have, c.want)
		}
	}
}
