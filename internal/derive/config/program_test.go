package config

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func write(db *state.DB, fn func(tx *state.Tx)) {
	if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		panic(err)
	}
}

func routes(t *table.Tables, tx *state.Tx, mode settings.RoutingMode, masquerade bool) {
	t.Configs.Put(tx, table.Config{Concern: settings.OfRouting, Settings: settings.Config{Routes: settings.Routes{Routing: mode, TunnelPort: 8472, MasqueradeIPv4: masquerade}}})
}

var node = table.Node{Name: "a", Local: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}

func tunnel(t *table.Tables, err string) status.Status {
	return status.Status{Table: t.Tunnels.Name(), Key: state.Join(attach.TunnelDevice), Done: err == "", Err: err, Rev: 1}
}

func TestProgramsAreLoadedOnceAllThatTheyAreToldIsKnown(t *testing.T) {
	tables, db := table.New()
	d := NewPrograms(tables)
	has := func() (table.Programs, bool) {
		d.Step(db)
		return tables.Programs.One(db.Snapshot(), table.ProgramsKey)
	}
	for _, fact := range []func(tx *state.Tx){
		func(tx *state.Tx) { routes(tables, tx, settings.Tunnel, true) },
		func(tx *state.Tx) { tables.Nodes.Put(tx, node) },
		func(tx *state.Tx) { status.Statuses.Put(tx, tunnel(tables, "the port is taken")) },
		func(tx *state.Tx) { status.Statuses.Put(tx, tunnel(tables, "")) },
	} {
		if p, ok := has(); ok {
			t.Fatalf("they are told %v before all is known", p)
		}
		write(db, fact)
	}
	write(db, func(tx *state.Tx) { tables.Devices.Put(tx, table.Device{Index: 5, Name: attach.TunnelDevice}) })
	if p, ok := has(); !ok || p.Overlay != 5 || p.Masquerade4 != node.Addresses[0] || p.Masquerade6.IsValid() {
		t.Errorf("they are told %+v", p)
	}
	write(db, func(tx *state.Tx) { routes(tables, tx, settings.Tunnel, false) })
	if p, ok := has(); !ok || p.Masquerade4.IsValid() {
		t.Errorf("masquerade stays: %+v", p)
	}
	write(db, func(tx *state.Tx) {
		routes(tables, tx, settings.Native, false)
		status.Statuses.Put(tx, tunnel(tables, "the port is taken"))
	})
	if p, ok := has(); !ok || p.Overlay != 0 {
		t.Errorf("a node in native mode does not go without a tunnel: %+v", p)
	}
}

func TestProgramsDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tables, db := table.New()
		d := NewPrograms(tables)
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			write(db, func(tx *state.Tx) {
				switch rapid.IntRange(0, 4).Draw(rt, "event") {
				case 0:
					routes(tables, tx, rapid.SampledFrom([]settings.RoutingMode{settings.Native, settings.Tunnel}).Draw(rt, "mode"), rapid.Bool().Draw(rt, "masquerade"))
				case 1:
					n := node
					n.Addresses = n.Addresses[:rapid.IntRange(0, 2).Draw(rt, "addresses")]
					tables.Nodes.Put(tx, n)
				case 2:
					status.Statuses.Put(tx, tunnel(tables, rapid.SampledFrom([]string{"", "busy"}).Draw(rt, "error")))
				case 3:
					tables.Devices.Put(tx, table.Device{Index: rapid.IntRange(5, 6).Draw(rt, "index"), Name: attach.TunnelDevice})
				default:
					tables.Nodes.Delete(tx, tables.Nodes.Key(node))
				}
			})
			if rapid.Bool().Draw(rt, "step") {
				d.Step(db)
			}
		}
		d.Step(db)
		fresh := show(tables.Programs, db)
		write(db, func(tx *state.Tx) { tables.Programs.Delete(tx, table.ProgramsKey) })
		NewPrograms(tables).Step(db)
		if diff := cmp.Diff(show(tables.Programs, db), fresh); diff != "" {
			rt.Fatalf("the path matters (-from scratch +along the path):\n%s", diff)
		}
	})
}
