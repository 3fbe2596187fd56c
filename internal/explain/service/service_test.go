package service

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/explain/service/callee"
	"weftnet.io/weftnet/internal/explain/service/filter"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/redirect"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, addr(text))
	}
	return out
}

// kernel is what the agent has written, with what a test does to it.
type kernel struct {
	held   map[string]Held // by the name of the frontend
	strays []table.Frontend
	during func() // while the maps are read
}

func (k *kernel) Frontend(row table.Frontend) (Held, error) {
	if k.during != nil {
		k.during()
	}
	return k.held[nameOf(row)], nil
}

func (k *kernel) At(addresses []netip.Addr) (rows []table.Frontend, err error) {
	for _, row := range k.strays {
		if slices.Contains(addresses, row.Address) {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// written is what the agent writes of a row.
func written(row table.Frontend, id uint32) Held {
	h := Held{ID: id, AffinitySeconds: row.AffinitySeconds, Limited: len(row.Sources) > 0}
	var idle []HeldBackend
	for i, b := range row.Backends {
		held := HeldBackend{Slot: len(h.Backends), ID: 100 + uint32(i), Address: addressOf(b), Protocol: row.Protocol, Takes: row.AffinitySeconds > 0}
		if b.Terminating {
			held.Slot, held.Takes = -1, false
			idle = append(idle, held)
			continue
		}
		h.Backends = append(h.Backends, held)
	}
	h.Backends = append(h.Backends, idle...)
	return h
}

// bench is a node with services, whose kernel has all of them.
type bench struct {
	Node
	db     *state.DB
	kernel *kernel
}

func newBench(t *testing.T) *bench {
	t.Helper()
	tables, db := table.New()
	b := &bench{db: db, kernel: &kernel{held: map[string]Held{}}}
	b.Node = Node{Tables: tables, Now: func() state.Reader { return db.Snapshot() }, Maps: b.kernel}
	one, two, leaving := table.Backend{Address: addr("10.244.1.7"), Port: 8080}, table.Backend{Address: addr("10.244.2.9"), Port: 8080}, table.Backend{Address: addr("10.244.2.10"), Port: 8080, Terminating: true}
	b.write(t, func(tx *state.Tx) {
		tables.Services.Put(tx, table.Service{
			Namespace: "shop", Name: "web", ClusterIPs: addrs("10.96.0.20", "fd00:96::20"), ExternalIPs: addrs("192.0.2.7"), AffinitySeconds: 10800,
			Ports: []table.ServicePort{{Name: "http", Protocol: 6, Port: 80, NodePort: 30080}}, Selector: map[string]string{"app": "web"},
		})
		tables.Services.Put(tx, table.Service{Namespace: "shop", Name: "nothing", Headless: true})
		tables.Services.Put(tx, table.Service{Namespace: "kube-system", Name: "dns", ClusterIPs: addrs("10.96.0.10"), Ports: []table.ServicePort{{Protocol: 17, Port: 53}}, InternalLocal: true})
		tables.EndpointSlices.Put(tx, table.EndpointSlice{Namespace: "shop", Name: "web-1", Service: "web", Endpoints: []table.SliceEndpoint{
			{Addresses: addrs("10.244.1.7"), Ready: true}, {Addresses: addrs("10.244.2.9"), Ready: true}, {Addresses: addrs("10.244.2.10"), Serving: true, Terminating: true}, {Addresses: addrs("10.244.2.11")},
		}})
		put := func(address string, port uint16, protocol uint8, name string, kind table.FrontendKind, backends ...table.Backend) {
			row := table.Frontend{Address: addr(address), Port: port, Protocol: protocol, Namespace: "shop", Name: name, Kind: kind, Backends: backends}
			if name == "dns" {
				row.Namespace = "kube-system"
			} else if port != 0 {
				row.AffinitySeconds = 10800
			}
			tables.Frontends.Put(tx, row)
		}
		put("10.96.0.20", 80, 6, "web", table.ClusterIP, one, leaving, two)
		put("10.96.0.20", 0, 0, "web", table.ClusterIP)
		put("fd00:96::20", 80, 6, "web", table.ClusterIP)
		put("fd00:96::20", 0, 0, "web", table.ClusterIP)
		put("192.0.2.7", 80, 6, "web", table.LoadBalancer, one, leaving, two)
		put("0.0.0.0", 30080, 6, "web", table.NodePort, one, leaving, two)
		put("::", 30080, 6, "web", table.NodePort)
		put("10.96.0.10", 53, 17, "dns", table.ClusterIP)
		put("10.96.0.10", 0, 0, "dns", table.ClusterIP)
		tables.Frontends.MarkSynced(tx)
	})
	b.settle(t)
	return b
}

func (b *bench) write(t *testing.T, do func(tx *state.Tx)) {
	t.Helper()
	if err := b.db.Write(func(tx *state.Tx) error { do(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// settle has the agent write all rows.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	s, id := b.db.Snapshot(), uint32(0)
	b.write(t, func(tx *state.Tx) {
		for row := range b.Tables.Frontends.All(s) {
			id++
			b.kernel.held[nameOf(row)] = written(row, id)
			key := b.Tables.Frontends.Key(row)
			status.Statuses.Put(tx, status.Status{Table: b.Tables.Frontends.Name(), Key: key, Done: true, Rev: b.Tables.Frontends.Revision(s, key)})
		}
		status.Statuses.Put(tx, status.Status{Table: b.Tables.Frontends.Name(), Done: true, Rev: b.Tables.Frontends.LastRevision(s)})
	})
}

// show is what is said of shop/web.
func (b *bench) show(t *testing.T) agentv1.ServiceDetail {
	t.Helper()
	d, err := b.Show("shop/web")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFrontendsAreListedByServiceAndChosenByWhatPeopleKnow(t *testing.T) {
	b := newBench(t)
	for query, want := range map[string]string{
		"":                                  "dns 10.96.0.10:53/udp ClusterIP, web 10.96.0.20:80/tcp ClusterIP, web [fd00:96::20]:80/tcp ClusterIP, web 192.0.2.7:80/tcp LoadBalancer, web 0.0.0.0:30080/tcp NodePort, web [::]:30080/tcp NodePort",
		"namespace=kube-system":             "dns 10.96.0.10:53/udp ClusterIP",
		"namespace=kube-system&port=80":     "",
		"service=kube-system/d&service=web": "dns 10.96.0.10:53/udp ClusterIP, web 10.96.0.20:80/tcp ClusterIP, web [fd00:96::20]:80/tcp ClusterIP, web 192.0.2.7:80/tcp LoadBalancer, web 0.0.0.0:30080/tcp NodePort, web [::]:30080/tcp NodePort",
		"service=shop/dns":                  "",
		"ip=10.96.0.0/12&protocol=tcp":      "web 10.96.0.20:80/tcp ClusterIP",
		"ip=::ffff:192.0.2.7":               "web 192.0.2.7:80/tcp LoadBalancer",
		"backend=10.244.2.0/24&port=30080":  "web 0.0.0.0:30080/tcp NodePort",
		"protocol=udp&protocol=sctp":        "dns 10.96.0.10:53/udp ClusterIP",
	} {
		values, _ := url.ParseQuery(query)
		f, err := filter.Parse(values)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var have []string
		list := b.List(f)
		for _, one := range list.Frontends {
			row := table.Frontend{Address: addr(one.Address), Port: one.Port, Protocol: callee.Protocols[one.Protocol]}
			have = append(have, one.Name+" "+nameOf(row)+" "+string(one.Kind))
		}
		if text := strings.Join(have, ", "); text != want || list.Total != 6 {
			t.Errorf("%s: have %s of %d, want %s", query, text, list.Total, want)
		}
	}
	for _, wrong := range []string{"port=0", "port=http", "ip=here", "backend=10.0.0.0/40", "protocol=icmp"} {
		values, _ := url.ParseQuery(wrong)
		if _, err := filter.Parse(values); err == nil {
			t.Errorf("%s: it makes no sense, and is taken", wrong)
		}
	}
}

func TestAListSaysWhatTheAgentCannotWrite(t *testing.T) {
	b := newBench(t)
	row, _ := b.Tables.Frontends.One(b.db.Snapshot(), table.FrontendKey(table.Frontend{Address: addr("192.0.2.7"), Port: 80, Protocol: 6}))
	key := b.Tables.Frontends.Key(row)
	b.write(t, func(tx *state.Tx) {
		status.Statuses.Put(tx, status.Status{Table: "frontends", Key: key, Attempts: 3, Err: "map services is full"})
	})
	f, _ := filter.Parse(url.Values{"ip": {"192.0.2.7"}})
	if one := b.List(f).Frontends[0]; one.InPlace || one.Error != "map services is full" {
		t.Errorf("%+v", one)
	}
	if d := b.show(t); len(d.Faults) != 1 || d.Faults[0] != "192.0.2.7:80/tcp: the agent cannot write it: map services is full" {
		t.Errorf("%q", d.Faults)
	}
}

func TestAServiceIsShownBesideWhatTheKernelHas(t *testing.T) {
	b := newBench(t)
	d := b.show(t)
	if len(d.Faults)+len(d.Notes) != 0 {
		t.Fatalf("faults %q, notes %q", d.Faults, d.Notes)
	}
	if e := d.Endpoints; e.Slices != 1 || e.Ready != 2 || e.Terminating != 1 || e.NotReady != 1 {
		t.Errorf("%+v", e)
	}
	if n := len(d.Frontends); n != 7 {
		t.Fatalf("%d frontends", n)
	}
	f := d.Frontends[1] // the first is what is refused
	if f.Address != "10.96.0.20" || f.Kernel.Slots != 2 || f.Kernel.AffinitySeconds != 10800 || len(f.Sides) != 3 || *f.Sides[1].Slot != 1 || f.Sides[1].Table != "10.244.2.9:8080" || f.Sides[2].Slot != nil {
		t.Errorf("%+v %+v", f, f.Kernel)
	}
	if d, err := b.Show("shop/nothing"); err != nil || !d.Headless || len(d.Frontends) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := b.Show("kube-system/dns"); err != nil || d.InternalTrafficPolicy != "Local" {
		t.Errorf("%+v, %v", d, err)
	}
	for of, want := range map[string]string{"shop/w": "there is no service shop/w; there is shop/web", "web": `"web" is no NAMESPACE/NAME of a service`} {
		if _, err := b.Show(of); err == nil || err.Error() != want {
			t.Errorf("%s: %v", of, err)
		}
	}
}

func TestWhatTableAndKernelDoNotAgreeAboutIsAFault(t *testing.T) {
	const name = "10.96.0.20:80/tcp"
	for want, change := range map[string]func(h *Held){
		"map services has no row for it":                                                             func(h *Held) { *h = Held{} },
		"map services has an affinity of 60 seconds, the table 10800":                                func(h *Held) { h.AffinitySeconds = 60 },
		"map services counts slot 1, which map slots does not have|no slot leads to 10.244.2.9:8080": func(h *Held) { h.Backends[1] = HeldBackend{Slot: 1} },
		"slot 0 leads to backend 100, which map backends does not have|no slot leads to 10.244.1.7:8080": func(h *Held) {
			h.Backends[0].Address = netip.AddrPort{}
		},
		"slot 1 leads to 10.244.9.9:8080, which the table does not have|no slot leads to 10.244.2.9:8080": func(h *Held) {
			h.Backends[1].Address = netip.MustParseAddrPort("10.244.9.9:8080")
		},
		"slot 1 leads to 10.244.1.7:8080, as another one does|no slot leads to 10.244.2.9:8080": func(h *Held) { h.Backends[1].Address = h.Backends[0].Address },
		"slot 2 leads to 10.244.2.10:8080, which is terminating":                                func(h *Held) { h.Backends[2].Slot = 2 },
		"slot 0 leads to backend 100, which is for udp":                                         func(h *Held) { h.Backends[0].Protocol = 17 },
		"no client keeps 10.244.2.9:8080: map slots does not say that it takes connections":     func(h *Held) { h.Backends[1].Takes = false },
		"clients that it keeps are led to 10.244.2.10:8080, which is terminating: map slots says that it takes connections": func(h *Held) {
			h.Backends[2].Takes = true
		},
		"map backends does not have 10.244.2.10:8080, which is terminating: its connections are cut": func(h *Held) { h.Backends = h.Backends[:2] },
		"no slot leads to 10.244.2.9:8080": func(h *Held) { h.Backends[1].Slot = -1 },
		"":                                 func(h *Held) { h.Backends[0], h.Backends[1] = h.Backends[1], h.Backends[0] },
	} {
		b := newBench(t)
		h := b.kernel.held[name]
		change(&h)
		b.kernel.held[name] = h
		d := b.show(t)
		have := strings.ReplaceAll(strings.Join(d.Faults, "|"), name+": ", "")
		if have != want || len(d.Notes) > 0 {
			t.Errorf("have %s, notes %q\nwant %s", have, d.Notes, want)
		}
	}
}

func TestWhatIsJustBeingWrittenIsNoFault(t *testing.T) {
	const note = "10.96.0.20:80/tcp: the agent is writing it to the kernel at this moment; ask again"
	change := func(t *testing.T, b *bench) {
		b.write(t, func(tx *state.Tx) {
			row, _ := b.Tables.Frontends.One(tx, table.FrontendKey(table.Frontend{Address: addr("10.96.0.20"), Port: 80, Protocol: 6}))
			row.Backends = row.Backends[:1]
			b.Tables.Frontends.Put(tx, row)
		})
	}
	t.Run("the agent has not written it yet", func(t *testing.T) {
		b := newBench(t)
		change(t, b)
		if d := b.show(t); len(d.Faults) > 0 || !slices.Equal(d.Notes, []string{note}) {
			t.Errorf("faults %q, notes %q", d.Faults, d.Notes)
		}
	})
	t.Run("the row changes and is written while the maps are read", func(t *testing.T) {
		b := newBench(t)
		b.kernel.during = func() {
			b.kernel.during = nil
			change(t, b)
			b.settle(t)
		}
		d := b.show(t)
		if len(d.Faults) > 0 || len(d.Notes) > 1 {
			t.Errorf("faults %q, notes %q", d.Faults, d.Notes)
		}
	})
}

func TestWhatTheKernelHasAtAnAddressBesideTheTableIsAFault(t *testing.T) {
	b := newBench(t)
	b.kernel.strays = []table.Frontend{
		{Address: addr("10.96.0.20"), Port: 80, Protocol: 6}, {Address: addr("10.96.0.20"), Port: 443, Protocol: 6}, {Address: addr("10.96.0.99"), Port: 443, Protocol: 6},
	}
	if d := b.show(t); !slices.Equal(d.Faults, []string{"10.96.0.20:443/tcp is in map services, and the table does not have it"}) {
		t.Errorf("%q", d.Faults)
	}
	b.write(t, func(tx *state.Tx) {
		key := table.FrontendKey(table.Frontend{Address: addr("10.96.0.20"), Port: 443, Protocol: 6})
		status.Statuses.Put(tx, status.Status{Table: "frontends", Key: key, Rev: 7, Err: "its removal waits until frontends is synced"})
	})
	if d := b.show(t); len(d.Faults) > 0 || len(d.Notes) != 1 {
		t.Errorf("faults %q, notes %q", d.Faults, d.Notes)
	}
}

func TestAnAddressThatAnotherServiceHasIsNamed(t *testing.T) {
	b := newBench(t)
	b.write(t, func(tx *state.Tx) {
		b.Tables.Services.Put(tx, table.Service{Namespace: "shop", Name: "zebra", ExternalIPs: addrs("192.0.2.7"), Ports: []table.ServicePort{{Protocol: 6, Port: 80}}})
	})
	d, err := b.Show("shop/zebra")
	if err != nil || !slices.Equal(d.Notes, []string{"192.0.2.7:80/tcp is that of service shop/web, not of this one"}) {
		t.Errorf("%q, %v", d.Notes, err)
	}
}

func TestAnAgentThatStartsSaysThatItComparesNothing(t *testing.T) {
	b := newBench(t)
	b.Maps = nil
	if d := b.show(t); len(d.Faults) > 0 || !slices.Equal(d.Notes, []string{starting}) || len(d.Frontends[1].Sides) != 3 {
		t.Errorf("faults %q, notes %q", d.Faults, d.Notes)
	}
}

func TestAnAddressWithAPortStandsForWhatHasIt(t *testing.T) {
	b, _ := newTraceBench(t, table.Setting{Name: "enable-local-redirect-policy", Value: "true"})
	port := func(n uint16, protocol uint8) []redirect.Port { return []redirect.Port{{Port: n, Protocol: protocol}} }
	b.write(t, func(tx *state.Tx) {
		put := func(name, address string, ports []redirect.Port) {
			redirect.Table.Put(tx, redirect.Policy{Namespace: "shop", Name: name, Address: addr(address), Ports: ports, Backends: ports})
		}
		put("metadata", "169.254.169.254", port(80, 6))
		put("waits", "169.254.169.253", port(80, 6))
		put("late", "10.96.0.20", port(80, 6))
		row := table.Frontend{Address: addr("169.254.169.254"), Port: 80, Protocol: 6, Namespace: "shop", Name: "metadata" + redirect.Suffix, Kind: table.LocalRedirect, Passes: true, Redirect: "metadata"}
		row.Backends = []table.Backend{{Address: addr("10.244.1.7"), Port: 80}}
		b.Tables.Frontends.Put(tx, row)
		row.Address, row.Name, row.Redirect, row.Backends = addr("169.254.169.253"), "waits"+redirect.Suffix, "waits", nil
		b.Tables.Frontends.Put(tx, row)
	})
	b.settle(t)
	for of, want := range map[string]string{
		"10.96.0.20:80":                   "shop/web: CiliumLocalRedirectPolicy shop/late names it, too",
		"10.96.0.20:80/tcp":               "shop/web: CiliumLocalRedirectPolicy shop/late names it, too",
		"10.96.0.10:53":                   "kube-system/dns",
		"[fd00:96::20]:80":                "shop/web",
		"192.168.0.2:30080":               "shop/web",
		"169.254.169.254:80":              "shop/metadata:local-redirect: CiliumLocalRedirectPolicy shop/metadata leads new calls to ready pods of this node",
		"169.254.169.253:80":              "shop/waits:local-redirect: CiliumLocalRedirectPolicy shop/waits redirects nothing here: no pod that it chooses is ready on this node, and calls go on as they are",
		"shop/metadata" + redirect.Suffix: "shop/metadata:local-redirect: CiliumLocalRedirectPolicy shop/metadata leads new calls to ready pods of this node",
		"192.168.0.1:8443":                "error: 0.0.0.0:8443/tcp at this node is a hostPort of pod shop/web-1, and no service; weft service list --port 8443 has it",
		"10.96.0.20:80/udp":               "error: nothing is translated at 10.96.0.20:80; weft service list --ip 10.96.0.20 has what is at this address",
		"203.0.113.1:30080":               "error: nothing is translated at 203.0.113.1:30080; weft service list --ip 203.0.113.1 has what is at this address",
	} {
		d, err := b.Show(of)
		have := d.Namespace + "/" + d.Name
		if len(d.Notes) > 0 {
			have += ": " + strings.Join(d.Notes, "; ")
		}
		if err != nil {
			have = "error: " + err.Error()
		}
		if len(d.Faults) > 0 || have != want {
			t.Errorf("%s: %s %v\nwant %s", of, have, d.Faults, want)
		}
	}
	b.write(t, func(tx *state.Tx) {
		for f := range b.Tables.Frontends.By(tx, table.ByService, table.ObjectKey("shop", "metadata"+redirect.Suffix)) {
			b.Tables.Frontends.Delete(tx, b.Tables.Frontends.Key(f))
			delete(b.kernel.held, nameOf(f))
		}
		b.Tables.Settings.Put(tx, table.Setting{Name: "enable-local-redirect-policy", Value: "false"})
	})
	config.New(b.Tables).Step(b.db)
	b.settle(t)
	x, err := b.Trace("shop/cart", "169.254.169.254:80", "")
	const off = "CiliumLocalRedirectPolicy shop/metadata redirects nothing, since setting enable-local-redirect-policy is not true"
	if err != nil || !slices.Contains(x.Notes, off) {
		t.Errorf("%v, %v: want %s", x.Notes, err, off)
	}
}
