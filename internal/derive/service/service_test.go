package service

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func addrs(text ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range text {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func show(t *table.Tables, db *state.DB) string {
	var b strings.Builder
	if err := state.Fprint(&b, t.Frontends, db.Snapshot()); err != nil {
		panic(err)
	}
	return b.String()
}

func write(db *state.DB, fn func(tx *state.Tx)) {
	if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		panic(err)
	}
}

func web() table.Service {
	return table.Service{
		Namespace: "shop", Name: "web", ClusterIPs: addrs("10.96.0.10", "fd00:96::10"), ExternalIPs: addrs("192.0.2.7"),
		Ports: []table.ServicePort{{Name: "http", Protocol: 6, Port: 80, NodePort: 30080}}, AffinitySeconds: 60,
	}
}

func webSlice() table.EndpointSlice {
	return table.EndpointSlice{
		Namespace: "shop", Name: "web-x", Service: "web", Ports: []table.NamedPort{{Name: "http", Protocol: 6, Port: 8080}},
		Endpoints: []table.SliceEndpoint{{Addresses: addrs("10.244.1.7", "10.244.1.8"), Ready: true, Serving: true, Node: "n1"}},
	}
}

func TestAServiceAndItsSliceBecomeFrontends(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	write(db, func(tx *state.Tx) {
		tables.Services.Put(tx, web())
		tables.EndpointSlices.Put(tx, webSlice())
		tables.Services.Put(tx, table.Service{Namespace: "shop", Name: "headless", Headless: true, Ports: web().Ports})
	})
	d.Step(db)
	want := `Address      Port   Protocol  Service   Affinity  Outside  Backends
0.0.0.0      30080  6         shop/web  60        true     10.244.1.7:8080
10.96.0.10   0      0         shop/web  0         false    -
10.96.0.10   80     6         shop/web  60        false    10.244.1.7:8080
192.0.2.7    80     6         shop/web  60        true     10.244.1.7:8080
::           30080  6         shop/web  60        true     -
fd00:96::10  0      0         shop/web  0         false    -
fd00:96::10  80     6         shop/web  60        false    -
`
	if diff := cmp.Diff(want, show(tables, db)); diff != "" {
		t.Errorf("frontends (-want +have):\n%s", diff)
	}
	write(db, func(tx *state.Tx) { tables.Services.Delete(tx, table.ObjectKey("shop", "web")) })
	d.Step(db)
	if n := tables.Frontends.Len(db.Snapshot()); n != 0 {
		t.Errorf("%d frontends are left of a Service that is gone", n)
	}
}

func TestAClusterAddressBeatsAnExternalOneInAnyOrder(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	thief := table.Service{Namespace: "a", Name: "thief", ExternalIPs: addrs("10.96.0.10"), Ports: web().Ports}
	write(db, func(tx *state.Tx) { tables.Services.Put(tx, thief) })
	d.Step(db)
	write(db, func(tx *state.Tx) { tables.Services.Put(tx, web()) })
	d.Step(db)
	f, ok := tables.Frontends.One(db.Snapshot(), state.Join(netip.MustParseAddr("10.96.0.10"), 80, 6))
	if !ok || f.Name != "web" || f.Outside {
		t.Errorf("10.96.0.10:80 belongs to %s/%s, want shop/web", f.Namespace, f.Name)
	}
}

func TestTheTableIsSyncedWhenItsInputsAre(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	write(db, func(tx *state.Tx) { tables.Services.MarkSynced(tx) })
	d.Step(db)
	if tables.Frontends.IsSynced(db.Snapshot()) {
		t.Error("synced although EndpointSlices are not")
	}
	write(db, func(tx *state.Tx) { tables.EndpointSlices.MarkSynced(tx) })
	d.Step(db)
	if !tables.Frontends.IsSynced(db.Snapshot()) {
		t.Error("not synced although all inputs are")
	}
}

func TestFrontendsDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tables, db := table.New()
		d := New(tables, "n1")
		address := rapid.SampledFrom(addrs("10.96.0.1", "10.96.0.2", "fd00:96::1"))
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			write(db, func(tx *state.Tx) {
				name := fmt.Sprint("s", rapid.IntRange(0, 2).Draw(rt, "name"))
				switch rapid.IntRange(0, 3).Draw(rt, "event") {
				case 0:
					tables.Services.Put(tx, table.Service{
						Namespace: "ns", Name: name, Ports: web().Ports, InternalLocal: rapid.Bool().Draw(rt, "local"),
						ClusterIPs:  rapid.SliceOfNDistinct(address, 0, 2, rapid.ID).Draw(rt, "cluster"),
						ExternalIPs: rapid.SliceOfNDistinct(address, 0, 2, rapid.ID).Draw(rt, "external"),
					})
				case 1:
					tables.Services.Delete(tx, table.ObjectKey("ns", name))
				case 2:
					s := webSlice()
					s.Namespace, s.Service, s.Name = "ns", name, fmt.Sprint("slice", rapid.IntRange(0, 3).Draw(rt, "slice"))
					s.Endpoints[0].Ready = rapid.Bool().Draw(rt, "ready")
					s.Endpoints[0].Terminating = rapid.Bool().Draw(rt, "terminating")
					s.Endpoints[0].Addresses = addrs(rapid.SampledFrom([]string{"10.244.0.1", "fd00:244::1"}).Draw(rt, "address"))
					tables.EndpointSlices.Put(tx, s)
				case 3:
					tables.EndpointSlices.Delete(tx, table.ObjectKey("ns", fmt.Sprint("slice", rapid.IntRange(0, 3).Draw(rt, "slice"))))
				}
			})
			if rapid.Bool().Draw(rt, "step") {
				d.Step(db)
			}
		}
		d.Step(db)
		fresh, freshDB := table.New()
		write(freshDB, func(tx *state.Tx) {
			for s := range tables.Services.All(db.Snapshot()) {
				fresh.Services.Put(tx, s)
			}
			for s := range tables.EndpointSlices.All(db.Snapshot()) {
				fresh.EndpointSlices.Put(tx, s)
			}
		})
		New(fresh, "n1").Step(freshDB)
		if diff := cmp.Diff(show(fresh, freshDB), show(tables, db)); diff != "" {
			rt.Fatalf("the path matters (-from scratch +along the path):\n%s", diff)
		}
	})
}
