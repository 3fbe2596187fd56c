package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
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
	if err := listing.Write(&b, t.Frontends, db.Snapshot()); err != nil {
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
	want := `Address      Port   Protocol  Service   Kind        Scope    Affinity  Maglev  Sources  Backends
0.0.0.0      30080  6         shop/web  NodePort    cluster  60        0       -        10.244.1.7:8080
10.96.0.10   0      0         shop/web  ClusterIP   cluster  0         0       -        -
10.96.0.10   80     6         shop/web  ClusterIP   cluster  60        0       -        10.244.1.7:8080
192.0.2.7    80     6         shop/web  ExternalIP  cluster  60        0       -        10.244.1.7:8080
::           30080  6         shop/web  NodePort    cluster  60        0       -        -
fd00:96::10  0      0         shop/web  ClusterIP   cluster  0         0       -        -
fd00:96::10  80     6         shop/web  ClusterIP   cluster  60        0       -        -
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

// outside puts what the configuration says of calls from outside.
func outside(t *table.Tables, tx *state.Tx, o settings.Outside) {
	t.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: settings.Services{Outside: o}}})
}

func TestWhatTheOutsideCallsFollowsTheConfiguration(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n2")
	w := web()
	w.AffinitySeconds, w.ExternalLocal = 0, true
	w.ClusterIPs, w.ExternalIPs, w.LoadBalancerIPs = addrs("10.96.0.10"), addrs("192.0.2.7", "203.0.113.7"), addrs("203.0.113.7")
	w.Sources = []table.Source{{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Allowed: true}}
	write(db, func(tx *state.Tx) {
		tables.Services.Put(tx, w)
		tables.EndpointSlices.Put(tx, webSlice())
	})
	d.Step(db)
	none := tables.Frontends.Len(db.Snapshot())
	write(db, func(tx *state.Tx) { outside(tables, tx, settings.Outside{NodePorts: true, ExternalIPs: true}) })
	d.Step(db)
	want := `Address      Port   Protocol  Service   Kind          Scope    Affinity  Maglev  Sources          Backends
0.0.0.0      30080  6         shop/web  NodePort      cluster  0         0       -                10.244.1.7:8080
0.0.0.0      30080  6         shop/web  NodePort      outside  0         0       -                -
10.96.0.10   0      0         shop/web  ClusterIP     cluster  0         0       -                -
10.96.0.10   80     6         shop/web  ClusterIP     cluster  0         0       -                10.244.1.7:8080
192.0.2.7    80     6         shop/web  ExternalIP    cluster  0         0       -                10.244.1.7:8080
192.0.2.7    80     6         shop/web  ExternalIP    outside  0         0       -                -
203.0.113.7  80     6         shop/web  LoadBalancer  cluster  0         0       -                10.244.1.7:8080
203.0.113.7  80     6         shop/web  LoadBalancer  outside  0         0       198.51.100.0/24  -
`
	if diff := cmp.Diff(want, show(tables, db)); diff != "" {
		t.Errorf("frontends (-want +have):\n%s", diff)
	}
	// the outside calls cluster addresses on demand, and by their own traffic policy
	for _, local := range []bool{false, true} {
		backends := map[bool]string{false: "10.244.1.7:8080", true: "-"}[local]
		write(db, func(tx *state.Tx) {
			w.InternalLocal = local
			tables.Services.Put(tx, w)
			outside(tables, tx, settings.Outside{HostPorts: true, ClusterIPs: true})
		})
		d.Step(db)
		rows := fmt.Sprintf("\n10.96.0.10   80     6         shop/web  ClusterIP     cluster  0         0       -        %[1]s\n"+
			"10.96.0.10   80     6         shop/web  ClusterIP     outside  0         0       -        %[1]s\n", backends)
		if have := show(tables, db); !strings.Contains(have, rows) || tables.Frontends.Len(db.Snapshot()) != none+1 {
			t.Errorf("internalTrafficPolicy Local %v: frontends\n%swant\n%s", local, have, rows)
		}
	}
	write(db, func(tx *state.Tx) { outside(tables, tx, settings.Outside{ClusterIPs: true}) })
	d.Step(db)
	if n := tables.Frontends.Len(db.Snapshot()); n != none {
		t.Errorf("%d frontends, want %d: nothing from outside is translated here", n, none)
	}
	write(db, func(tx *state.Tx) { outside(tables, tx, settings.Outside{}) })
	d.Step(db)
	if n := tables.Frontends.Len(db.Snapshot()); n != none {
		t.Errorf("%d frontends are left, want %d as before", n, none)
	}
}

func TestANodeIsSilentOnlyWhereOthersHaveBackends(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n2")
	silent := func() (list []string) {
		d.Step(db)
		for f := range tables.Frontends.All(db.Snapshot()) {
			if f.Silent {
				list = append(list, fmt.Sprintf("%s:%d %s", f.Address, f.Port, f.Scope))
			}
		}
		return list
	}
	w := web()
	w.ExternalLocal = true
	write(db, func(tx *state.Tx) {
		outside(tables, tx, settings.Outside{NodePorts: true, ExternalIPs: true})
		tables.Services.Put(tx, w)
	})
	if have := silent(); have != nil {
		t.Errorf("without any backend it is silent: %q", have)
	}
	write(db, func(tx *state.Tx) { tables.EndpointSlices.Put(tx, webSlice()) }) // on n1, of IPv4
	if diff := cmp.Diff([]string{"0.0.0.0:30080 outside", "192.0.2.7:80 outside"}, silent()); diff != "" {
		t.Errorf("with one on another node (-want +have):\n%s", diff)
	}
	here := webSlice()
	here.Endpoints[0].Node = "n2"
	write(db, func(tx *state.Tx) { tables.EndpointSlices.Put(tx, here) })
	if have := silent(); have != nil {
		t.Errorf("with one here it is silent: %q", have)
	}
	w.ExternalLocal = false
	write(db, func(tx *state.Tx) {
		tables.Services.Put(tx, w)
		tables.EndpointSlices.Delete(tx, tables.EndpointSlices.Key(here))
	})
	if have := silent(); have != nil {
		t.Errorf("of the policy Cluster it is silent: %q", have)
	}
}

// choosing puts how backends are chosen.
func choosing(t *table.Tables, tx *state.Tx, c settings.Choice) {
	o := settings.Outside{NodePorts: true, ExternalIPs: true}
	t.Configs.Put(tx, table.Config{Concern: settings.OfServices, Settings: settings.Config{Services: settings.Services{Outside: o, Choice: c}}})
}

func TestTheZoneOfTheNodeChoosesAmongHints(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	near := func() string {
		d.Step(db)
		f, _ := tables.Frontends.One(db.Snapshot(), table.FrontendKey(table.Frontend{Address: netip.MustParseAddr("10.96.0.10"), Port: 80, Protocol: 6}))
		return fmt.Sprint(f.Backends)
	}
	node := func(zone string) {
		write(db, func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Labels: map[string]string{"topology.kubernetes.io/zone": zone}})
		})
	}
	s := webSlice()
	s.Endpoints = nil
	for i, zone := range []string{"a", "b", "b"} {
		s.Endpoints = append(s.Endpoints, table.SliceEndpoint{Addresses: addrs(fmt.Sprint("10.244.1.", i)), Ready: true, Serving: true, Hints: &lb.Hints{ForZones: []string{zone}}})
	}
	write(db, func(tx *state.Tx) {
		choosing(tables, tx, settings.Choice{Hints: true})
		tables.Services.Put(tx, web())
		tables.EndpointSlices.Put(tx, s)
	})
	all := "[10.244.1.0:8080 10.244.1.1:8080 10.244.1.2:8080]"
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, all},
		{func() { node("a") }, "[10.244.1.0:8080 10.244.1.1:8080(far) 10.244.1.2:8080(far)]"},
		{func() { node("b") }, "[10.244.1.0:8080(far) 10.244.1.1:8080 10.244.1.2:8080]"},
		{func() { node("c") }, all},
		{func() { node("b") }, "[10.244.1.0:8080(far) 10.244.1.1:8080 10.244.1.2:8080]"},
		{func() { write(db, func(tx *state.Tx) { choosing(tables, tx, settings.Choice{}) }) }, all},
	} {
		step.do()
		if have := near(); have != step.want {
			t.Errorf("backends %s, want %s", have, step.want)
		}
	}
}

func TestOnlyCallsFromOutsideFindTheirBackendInATable(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	w := web()
	w.ClusterIPs, w.AffinitySeconds = addrs("10.96.0.10"), 0
	s := webSlice()
	s.Endpoints = []table.SliceEndpoint{{Addresses: addrs("10.244.1.7"), Ready: true, Serving: true}, {Addresses: addrs("10.244.1.8"), Ready: true, Serving: true}}
	sizes := func(annotation string, c settings.Choice) string {
		w.Algorithm, c.TableSize = annotation, 65521
		write(db, func(tx *state.Tx) {
			choosing(tables, tx, c)
			tables.Services.Put(tx, w)
			tables.EndpointSlices.Put(tx, s)
		})
		d.Step(db)
		var text []string
		for f := range tables.Frontends.All(db.Snapshot()) {
			if f.Maglev.Size > 0 {
				text = append(text, fmt.Sprintf("%s %s %d", f.Kind, f.Scope, f.Maglev.Size))
			}
		}
		return strings.Join(text, ", ")
	}
	const two = "NodePort outside 251, ExternalIP outside 251"
	for _, c := range []struct {
		annotation string
		choice     settings.Choice
		want       string
	}{
		{"", settings.Choice{}, ""},
		{"", settings.Choice{Maglev: true}, two},
		{"random", settings.Choice{Maglev: true}, two},
		{"random", settings.Choice{Maglev: true, Annotated: true}, ""},
		{"maglev", settings.Choice{Annotated: true}, two},
		{"maglev", settings.Choice{}, ""},
		{"fastest", settings.Choice{Annotated: true}, ""},
	} {
		if have := sizes(c.annotation, c.choice); have != c.want {
			t.Errorf("annotation %q, %+v: tables for %q, want %q", c.annotation, c.choice, have, c.want)
		}
	}
	s.Endpoints = append(s.Endpoints, table.SliceEndpoint{Addresses: addrs("10.244.1.9"), Ready: true, Serving: true})
	if have := sizes("", settings.Choice{Maglev: true}); have != strings.ReplaceAll(two, "251", "509") {
		t.Errorf("of three backends: %q", have)
	}
	s.Endpoints = s.Endpoints[:1]
	if have := sizes("", settings.Choice{Maglev: true}); have != "" {
		t.Errorf("of one backend there is nothing to choose: %q", have)
	}
}

func TestAHostPortIsOfItsPodAlone(t *testing.T) {
	tables, db := table.New()
	d := New(tables, "n1")
	pod := table.Pod{Namespace: "shop", Name: "web-1", UID: "u1", Node: "n1", HostPorts: []table.PodHostPort{
		{Protocol: 6, HostPort: 8081, Port: 8080},
		{Protocol: 6, HostPort: 8082, Port: 8080, HostIP: netip.MustParseAddr("172.30.0.1")},
		{Protocol: 17, HostPort: 53, Port: 53, HostIP: netip.MustParseAddr("0.0.0.0")},
	}}
	write(db, func(tx *state.Tx) {
		outside(tables, tx, settings.Outside{HostPorts: true})
		tables.Pods.Put(tx, pod)
		tables.Workloads.Put(tx, table.Workload{ContainerID: "old", Interface: "eth0", Namespace: "shop", Pod: "web-1", UID: "u0", Addresses: addrs("10.244.1.6")})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "new", Interface: "eth0", Namespace: "shop", Pod: "web-1", UID: "u1", Addresses: addrs("10.244.1.7", "fd00::7")})
	})
	d.Step(db)
	want := `Address     Port  Protocol  Service     Kind      Scope    Affinity  Maglev  Sources  Backends
0.0.0.0     53    17        shop/web-1  HostPort  here     0         0       -        10.244.1.7:53
0.0.0.0     8081  6         shop/web-1  HostPort  here     0         0       -        10.244.1.7:8080
172.30.0.1  8082  6         shop/web-1  HostPort  cluster  0         0       -        10.244.1.7:8080
172.30.0.1  8082  6         shop/web-1  HostPort  outside  0         0       -        10.244.1.7:8080
::          8081  6         shop/web-1  HostPort  here     0         0       -        [fd00::7]:8080
`
	if diff := cmp.Diff(want, show(tables, db)); diff != "" {
		t.Errorf("frontends (-want +have):\n%s", diff)
	}
	write(db, func(tx *state.Tx) { tables.Workloads.Delete(tx, table.AttachmentKey("new", "eth0")) })
	d.Step(db)
	if n := tables.Frontends.Len(db.Snapshot()); n != 0 {
		t.Errorf("%d frontends are left of a pod that is gone", n)
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
	f, ok := tables.Frontends.One(db.Snapshot(), table.FrontendKey(table.Frontend{Address: netip.MustParseAddr("10.96.0.10"), Port: 80, Protocol: 6}))
	if !ok || f.Name != "web" || f.Kind != table.ClusterIP {
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
	write(db, func(tx *state.Tx) {
		tables.EndpointSlices.MarkSynced(tx)
		tables.Pods.MarkSynced(tx)
		tables.Configs.MarkSynced(tx)
		tables.Nodes.MarkSynced(tx)
		tables.Workloads.MarkSynced(tx)
		redirect.Table.MarkSynced(tx)
	})
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
		zone := rapid.SampledFrom([]string{"", "a", "b", "c"})
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			write(db, func(tx *state.Tx) {
				name := fmt.Sprint("s", rapid.IntRange(0, 2).Draw(rt, "name"))
				switch rapid.IntRange(0, 5).Draw(rt, "event") {
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
					for i := range s.Endpoints {
						if zones := rapid.SliceOfNDistinct(zone, 0, 2, rapid.ID).Draw(rt, "zones"); len(zones) > 0 {
							s.Endpoints[i].Hints = &lb.Hints{ForZones: zones}
						}
					}
					tables.EndpointSlices.Put(tx, s)
				case 3:
					tables.EndpointSlices.Delete(tx, table.ObjectKey("ns", fmt.Sprint("slice", rapid.IntRange(0, 3).Draw(rt, "slice"))))
				case 4:
					tables.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Labels: map[string]string{zoneLabel: zone.Draw(rt, "zone")}})
				case 5:
					choosing(tables, tx, settings.Choice{Hints: rapid.Bool().Draw(rt, "hints")})
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
			for n := range tables.Nodes.All(db.Snapshot()) {
				fresh.Nodes.Put(tx, n)
			}
			for c := range tables.Configs.All(db.Snapshot()) {
				fresh.Configs.Put(tx, c)
			}
		})
		New(fresh, "n1").Step(freshDB)
		if diff := cmp.Diff(show(fresh, freshDB), show(tables, db)); diff != "" {
			rt.Fatalf("the path matters (-from scratch +along the path):\n%s", diff)
		}
	})
}

func TestEntriesAreWhatMapsHold(t *testing.T) {
	b := []table.Backend{{Address: addrs("10.0.0.1")[0], Port: 80}, {Address: addrs("10.0.0.2")[0], Port: 80}, {Address: addrs("10.0.0.3")[0], Port: 80, Far: true}}
	rows := []table.Frontend{
		{Port: 1, Protocol: 6, Backends: b, Maglev: maglev.Shape{Size: 251}, Sources: []table.Source{{}, {}}},
		{Port: 2, Protocol: 6, Backends: b, Maglev: maglev.Shape{Size: 251}, AffinitySeconds: 60},
		{Port: 3, Protocol: 17, Backends: b[:1]},
	}
	want := map[string]int{"services": 3, "slots": 2 + 4 + 1, "backends": 4, "maglev": 3, "service_sources": 2, "nics": 7}
	if diff := cmp.Diff(want, Entries(slices.Values(rows), map[string]int{"nics": 7})); diff != "" {
		t.Errorf("entries (-want +have):\n%s", diff)
	}
}
