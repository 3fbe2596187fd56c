package ipcache

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
	"weftnet.io/weftnet/internal/table"
)

func addrs(text ...string) (out []netip.Addr) {
	for _, a := range text {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func prefixes(text ...string) (out []netip.Prefix) {
	for _, p := range text {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func show(t *table.Tables, db *state.DB) string {
	var b strings.Builder
	if err := listing.Write(&b, t.IPCache, db.Snapshot()); err != nil {
		panic(err)
	}
	return b.String()
}

func write(db *state.DB, fn func(tx *state.Tx)) {
	if err := db.Write(func(tx *state.Tx) error { fn(tx); return nil }); err != nil {
		panic(err)
	}
}

// chain is ipcache and the configuration that they follow.
type chain struct {
	config  *state.Derivation[table.Config]
	ipcache *state.Derivation[table.IPCacheRow]
}

func both(t *table.Tables) chain { return chain{config.New(t), New(t)} }

func (c chain) Step(db *state.DB) bool {
	configured := c.config.Step(db)
	return c.ipcache.Step(db) || configured
}

// cluster puts two nodes, a pod here and a pod there.
func cluster(t *table.Tables, tx *state.Tx) {
	t.Settings.Put(tx, table.Setting{Name: "enable-ipv6", Value: "false"})
	t.Nodes.Put(tx, table.Node{Name: "n1", Local: true, Addresses: addrs("192.168.0.1"), PodCIDRs: prefixes("10.244.1.0/24")})
	t.Nodes.Put(tx, table.Node{Name: "n2", Addresses: addrs("192.168.0.2", "fd00::2"), PodCIDRs: prefixes("10.244.2.0/24")})
	t.Devices.Put(tx, table.Device{Index: 2, Name: "eth0", Addresses: prefixes("192.168.0.1/24", "172.16.0.1/16", "fe80::1/64")})
	t.Devices.Put(tx, table.Device{Index: 7, Name: "weft01"})
	t.Attachments.Put(tx, table.Attachment{ContainerID: "c1", Interface: "eth0", HostName: "weft01", Addresses: addrs("10.244.1.5"), Incarnation: 1})
	t.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "eth0", Addresses: addrs("10.244.1.5"), Subject: table.Subject{Identity: 300}})
	t.Endpoints.Put(tx, table.Endpoint{Namespace: "a", Name: "here", UID: "1", Identity: 300, Addresses: addrs("10.244.1.5"), Node: addrs("192.168.0.1")[0]})
	t.Endpoints.Put(tx, table.Endpoint{Namespace: "a", Name: "gone", UID: "3", Identity: 300, Addresses: addrs("10.244.1.6"), Node: addrs("192.168.0.1")[0]})
	t.Endpoints.Put(tx, table.Endpoint{Namespace: "a", Name: "there", UID: "2", Identity: 301, Addresses: addrs("10.244.2.5"), Node: addrs("fd00::2")[0]})
}

func TestEveryPlaceOfAClusterHasItsRow(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) { cluster(tables, tx) })
	d.Step(db)
	want := `Network  Prefix              Identity  Ifindex  Flags               Tunnel
0        0.0.0.0/0           2         0        -                   -
0        10.244.1.0/24       3         0        local,cluster       -
0        10.244.1.5/32       300       7        local,cluster       -
0        10.244.2.0/24       3         0        cluster             192.168.0.2
0        10.244.2.5/32       301       0        cluster             192.168.0.2
0        172.16.0.1/32       1         0        local,node,cluster  -
0        172.16.255.255/32   1         0        local,node,cluster  -
0        192.168.0.1/32      1         0        local,node,cluster  -
0        192.168.0.2/32      6         0        node,cluster        192.168.0.2
0        192.168.0.255/32    1         0        local,node,cluster  -
0        255.255.255.255/32  1         0        local,node,cluster  -
0        ::/0                2         0        -                   -
0        fd00::2/128         6         0        node,cluster        192.168.0.2
0        fe80::1/128         1         0        local,node,cluster  -
`
	if diff := cmp.Diff(want, show(tables, db)); diff != "" {
		t.Errorf("ipcache (-want +have):\n%s", diff)
	}
	write(db, func(tx *state.Tx) {
		tables.Settings.Put(tx, table.Setting{Name: "routing-mode", Value: "native"})
		tables.Settings.Put(tx, table.Setting{Name: "ipv4-native-routing-cidr", Value: "10.0.0.0/8"})
		tables.Settings.Put(tx, table.Setting{Name: "enable-ipv6", Value: "true"})
	})
	d.Step(db)
	want = `Network  Prefix              Identity  Ifindex  Flags                 Tunnel
0        0.0.0.0/0           9         0        -                     -
0        10.0.0.0/8          9         0        cluster               -
0        10.244.1.0/24       3         0        local,cluster         -
0        10.244.1.5/32       300       7        local,cluster,direct  -
0        10.244.2.0/24       3         0        cluster,direct        192.168.0.2
0        10.244.2.5/32       301       0        cluster,direct        192.168.0.2
0        172.16.0.1/32       1         0        local,node,cluster    -
0        172.16.255.255/32   1         0        local,node,cluster    -
0        192.168.0.1/32      1         0        local,node,cluster    -
0        192.168.0.2/32      6         0        node,cluster,direct   192.168.0.2
0        192.168.0.255/32    1         0        local,node,cluster    -
0        255.255.255.255/32  1         0        local,node,cluster    -
0        ::/0                10        0        -                     -
0        fd00::2/128         6         0        node,cluster,direct   192.168.0.2
0        fe80::1/128         1         0        local,node,cluster    -
`
	if diff := cmp.Diff(want, show(tables, db)); diff != "" {
		t.Errorf("ipcache after a change to native routing (-want +have):\n%s", diff)
	}
}

func host(t *testing.T, tables *table.Tables, db *state.DB, prefix string) table.IPCacheRow {
	t.Helper()
	h, _ := tables.IPCache.One(db.Snapshot(), state.Join(0, netip.MustParsePrefix(prefix)))
	return h
}

func TestNodesOfferPortsAtSomeOfTheirAddresses(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) { cluster(tables, tx) })
	portless := func(value string) string {
		write(db, func(tx *state.Tx) { tables.Settings.Put(tx, table.Setting{Name: "nodeport-addresses", Value: value}) })
		for d.Step(db) {
			continue
		}
		var list []string
		for h := range tables.IPCache.All(db.Snapshot()) {
			if h.Flags&table.IPCachePortless != 0 {
				list = append(list, h.Prefix.Addr().String())
			}
		}
		return strings.Join(list, " ")
	}
	for _, c := range [][2]string{
		{"", ""},
		{"primary", "172.16.0.1 172.16.255.255 192.168.0.255 255.255.255.255 fe80::1"},
		{"172.16.0.0/16", "192.168.0.1 192.168.0.2 192.168.0.255 255.255.255.255 fd00::2 fe80::1"},
		{"", ""},
	} {
		if have := portless(c[0]); have != c[1] {
			t.Errorf("%q: no ports at %s, want %s", c[0], have, c[1])
		}
	}
}

func TestALocalNICBeatsAnEndpointAndTheLatestAttachmentBeatsAll(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Endpoints.Put(tx, table.Endpoint{
			Namespace: "a", Name: "impostor", UID: "9", Identity: 999, Addresses: addrs("10.244.1.5"), Node: addrs("192.168.0.2")[0],
		})
		tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c0", Interface: "eth0", HostName: "weft02", Addresses: addrs("10.244.1.5"), Incarnation: 2,
		})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "c0", Interface: "eth0", Addresses: addrs("10.244.1.5"), Subject: table.Subject{Identity: 305}})
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.1.5/32"); h.Ifindex != 7 {
		t.Errorf("%v: want the NIC whose device is there", h.Row())
	}
	write(db, func(tx *state.Tx) { tables.Devices.Put(tx, table.Device{Index: 8, Name: "weft02"}) })
	d.Step(db)
	if h := host(t, tables, db, "10.244.1.5/32"); h.Ifindex != 8 || h.Identity != 305 {
		t.Errorf("%v: want the NIC attached last", h.Row())
	}
	write(db, func(tx *state.Tx) {
		tables.Workloads.Delete(tx, table.AttachmentKey("c0", "eth0"))
		tables.Workloads.Delete(tx, table.AttachmentKey("c1", "eth0"))
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.1.5/32"); h.Identity != 999 {
		t.Errorf("%v: want the endpoint, since no NIC here has the address any more", h.Row())
	}
}

func TestANodeTakesNoAddressOfAnothersPods(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	liar := func(writer, node string) table.Endpoint {
		return table.Endpoint{Namespace: "z", Name: "liar", UID: "9", Identity: 999, Addresses: addrs("10.244.2.5", "10.244.9.9"), Node: addrs(node)[0], NodeName: writer}
	}
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Nodes.Put(tx, table.Node{Name: "n3", Addresses: addrs("192.168.0.3"), PodCIDRs: prefixes("10.244.3.0/24")})
		tables.Nodes.Put(tx, table.Node{Name: strings.Repeat("n", 64), Addresses: addrs("192.168.0.4"), PodCIDRs: prefixes("10.244.9.0/24")})
	})
	for _, c := range []struct {
		writer, node string
		unknown      identity.Number // who 10.244.9.9 is, of which no other endpoint speaks
	}{
		{"n3", "192.168.0.3", 999},            // it says that another's pod lives on it
		{"n3", "192.168.0.2", 0},              // or that one of its own lives on another
		{"n3", "192.168.0.77", 999},           // or on no node that is known
		{"", "192.168.0.3", 999},              // one that does not say who wrote it
		{"0a1b2c3d", "192.168.0.4", 999},      // a name too long for a label
		{"0a1b2c3d", "192.168.0.3", 0},        // no such name
		{"not-known-yet", "192.168.0.5", 999}, // its CiliumNode comes later
	} {
		write(db, func(tx *state.Tx) { tables.Endpoints.Put(tx, liar(c.writer, c.node)) })
		d.Step(db)
		if h := host(t, tables, db, "10.244.2.5/32"); h.Identity != 301 || h.Tunnel.String() != "192.168.0.2" {
			t.Errorf("%s says %s: the pod of another node is %d at %s", c.writer, c.node, h.Identity, h.Tunnel)
		}
		if h := host(t, tables, db, "10.244.9.9/32"); h.Identity != c.unknown {
			t.Errorf("%s says %s: an address that no other pod has is %d, want %d", c.writer, c.node, h.Identity, c.unknown)
		}
	}
}

func TestAnAddressOfOneLinkIsThisNodesAndNoOtherNodeLearnsOfIt(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Devices.Put(tx, table.Device{Index: 1, Name: "lo", Addresses: prefixes("127.0.0.1/8", "::1/128")})
		tables.Devices.Put(tx, table.Device{Index: 9, Name: "nodelocaldns", Addresses: prefixes("169.254.20.10/32")})
		tables.Devices.Put(tx, table.Device{Index: 10, Name: "wire", Addresses: prefixes("10.9.0.0/31")})
	})
	d.Step(db)
	for _, own := range []string{"169.254.20.10/32", "fe80::1/128", "10.9.0.0/32"} {
		if h := host(t, tables, db, own); h.Identity != identity.Host || h.Flags&table.IPCacheLocal == 0 {
			t.Errorf("%s is %v, want it to be this node", own, h.Row())
		}
	}
	for _, none := range []string{"127.0.0.1/32", "127.255.255.255/32", "::1/128", "10.9.0.1/32"} {
		if h := host(t, tables, db, none); h.Prefix.IsValid() {
			t.Errorf("%s has a row: %v", none, h.Row())
		}
	}
	for n := range tables.Nodes.All(db.Snapshot()) {
		for _, a := range n.Addresses {
			if a.IsLinkLocalUnicast() {
				t.Errorf("node %s is known by %s", n.Name, a)
			}
		}
	}
	write(db, func(tx *state.Tx) { tables.Devices.Delete(tx, state.Join(9)) })
	d.Step(db)
	if h := host(t, tables, db, "169.254.20.10/32"); h.Prefix.IsValid() {
		t.Errorf("without its device there is still %v", h.Row())
	}
}

func TestAWorkloadMayHaveTheLastAddressOfASubnet(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Devices.Put(tx, table.Device{Index: 9, Name: "bridge", Addresses: prefixes("10.244.0.1/22")}) // to 10.244.3.255
		tables.Endpoints.Put(tx, table.Endpoint{Namespace: "a", Name: "last", UID: "4", Identity: 307, Addresses: addrs("10.244.3.255"), Node: addrs("192.168.0.2")[0]})
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.3.255/32"); h.Identity != 307 {
		t.Errorf("%v: want the workload", h.Row())
	}
	write(db, func(tx *state.Tx) { tables.Endpoints.Delete(tx, state.Join("a", "last")) })
	d.Step(db)
	if h := host(t, tables, db, "10.244.3.255/32"); h.Identity != identity.Host {
		t.Errorf("%v: want the broadcast address to be this node", h.Row())
	}
}

func TestNoPodTakesTheAddressOfANode(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Attachments.Put(tx, table.Attachment{
			ContainerID: "c1", Interface: "eth0", HostName: "weft01", Addresses: addrs("192.168.0.1"), Incarnation: 1,
		})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "eth0", Addresses: addrs("192.168.0.1"), Subject: table.Subject{Identity: 300}})
		tables.Endpoints.Put(tx, table.Endpoint{
			Namespace: "a", Name: "impostor", Identity: 999, Addresses: addrs("192.168.0.2"), Node: addrs("192.168.0.2")[0],
		})
	})
	d.Step(db)
	if h := host(t, tables, db, "192.168.0.1/32"); h.Identity != identity.Host {
		t.Errorf("%v: want identity host", h.Row())
	}
	if h := host(t, tables, db, "192.168.0.2/32"); h.Identity != identity.RemoteNode {
		t.Errorf("%v: want identity remote-node", h.Row())
	}
}

func TestAWorkloadWithoutIdentityOrDeviceMakesNoClaim(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		w, _ := tables.Workloads.One(tx, table.AttachmentKey("c1", "eth0"))
		w.Identity = 0
		tables.Workloads.Put(tx, w)
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.1.5/32"); h.Prefix.IsValid() {
		t.Errorf("%v: want no row while the identity is unknown", h.Row())
	}
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Devices.Delete(tx, state.Join(7))
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.1.5/32"); h.Prefix.IsValid() {
		t.Errorf("%v: want no row while the device is missing", h.Row())
	}
}

// vteps puts the keys of one VTEP with this range.
func vteps(t *table.Tables, tx *state.Tx, endpoint, prefix string) {
	for name, value := range map[string]string{
		"enable-vtep": "true", "vtep-endpoint": endpoint, "vtep-cidr": prefix, "vtep-mac": "82:36:4c:98:2e:56",
	} {
		t.Settings.Put(tx, table.Setting{Name: name, Value: value})
	}
}

func TestAVTEPHasWhatNoNodeGivesItsPods(t *testing.T) {
	tables, db := table.New()
	d := both(tables)
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		vteps(tables, tx, "192.168.0.9", "10.1.1.0/24")
	})
	d.Step(db)
	for prefix, want := range map[string]string{
		"10.1.1.0/24":    "0 10.1.1.0/24 2 0 vtep 192.168.0.9,82:36:4c:98:2e:56",
		"192.168.0.9/32": "0 192.168.0.9/32 2 0 vtep -",
	} {
		if have := strings.Join(host(t, tables, db, prefix).Row(), " "); have != want {
			t.Errorf("%s: %s, want %s", prefix, have, want)
		}
	}
	// Another configuration, and a part of a pod prefix, with the address of a node for its end.
	write(db, func(tx *state.Tx) { vteps(tables, tx, "192.168.0.2", "10.244.2.128/25") })
	d.Step(db)
	for _, prefix := range []string{"10.1.1.0/24", "192.168.0.9/32", "10.244.2.128/25"} {
		if h := host(t, tables, db, prefix); h.Prefix.IsValid() {
			t.Errorf("%v: want no row", h.Row())
		}
	}
	if h := host(t, tables, db, "192.168.0.2/32"); h.Identity != identity.RemoteNode {
		t.Errorf("%v: want identity remote-node", h.Row())
	}
	// The node gives its pods other prefixes.
	write(db, func(tx *state.Tx) {
		tables.Nodes.Put(tx, table.Node{Name: "n2", Addresses: addrs("192.168.0.2"), PodCIDRs: prefixes("10.244.3.0/24")})
	})
	d.Step(db)
	if h := host(t, tables, db, "10.244.2.128/25"); h.Flags != table.IPCacheVTEP {
		t.Errorf("%v: want the VTEP's", h.Row())
	}
}

// change makes one random event of few names, so that they meet often.
func change(rt *rapid.T, t *table.Tables, tx *state.Tx) {
	address := rapid.SampledFrom(addrs("10.0.0.1", "10.0.0.2", "192.168.0.1", "192.168.0.2", "fd00::1"))
	some := rapid.SliceOfNDistinct(address, 0, 3, rapid.ID)
	n := rapid.IntRange(1, 3).Draw(rt, "n")
	gone := rapid.IntRange(0, 3).Draw(rt, "gone") == 0
	switch rapid.IntRange(0, 6).Draw(rt, "event") {
	case 0:
		node := table.Node{Name: fmt.Sprint("n", n), Local: n == 1, Addresses: some.Draw(rt, "addresses")}
		node.PodCIDRs = prefixes(rapid.SampledFrom([]string{"10.0.0.0/24", "10.0.1.0/24", "10.0.0.1/32"}).Draw(rt, "cidr"))
		put(tx, t.Nodes, node, gone)
	case 1:
		e := table.Endpoint{Namespace: "a", Name: fmt.Sprint("e", n), UID: fmt.Sprint("u", n), Identity: identity.Number(rapid.IntRange(0, 2).Draw(rt, "identity"))}
		e.Addresses, e.Node = some.Draw(rt, "addresses"), address.Draw(rt, "node")
		e.NodeName = rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(rt, "writer")
		put(tx, t.Endpoints, e, gone)
	case 2:
		a := table.Attachment{ContainerID: fmt.Sprint("c", n), Interface: "eth0", HostName: fmt.Sprint("h", n%2), Incarnation: uint32(n)}
		a.Addresses = some.Draw(rt, "addresses")
		put(tx, t.Attachments, a, gone)
	case 3:
		w := table.Workload{ContainerID: fmt.Sprint("c", n), Interface: "eth0", Subject: table.Subject{Identity: identity.Number(rapid.IntRange(0, 2).Draw(rt, "identity"))}}
		w.Addresses = some.Draw(rt, "addresses")
		put(tx, t.Workloads, w, gone)
	case 4:
		dev := table.Device{Index: n, Name: fmt.Sprint("h", rapid.IntRange(0, 1).Draw(rt, "name"))}
		for _, a := range some.Draw(rt, "addresses") {
			dev.Addresses = append(dev.Addresses, single(a))
		}
		put(tx, t.Devices, dev, gone)
	case 5:
		s := rapid.SampledFrom([]table.Setting{
			{Name: "routing-mode", Value: "native"},
			{Name: "tunnel", Value: "disabled"},
			{Name: "enable-ipv6", Value: "false"},
			{Name: "ipv4-native-routing-cidr", Value: "10.0.0.0/24"},
			{Name: "ipv4-native-routing-cidr", Value: "10.0.0.0/8"},
		}).Draw(rt, "setting")
		put(tx, t.Settings, s, gone)
	case 6:
		vteps(t, tx, address.Filter(netip.Addr.Is4).Draw(rt, "end").String(), rapid.SampledFrom([]string{"10.0.0.0/24", "10.0.0.0/25", "10.0.0.1/32", "10.9.0.0/16"}).Draw(rt, "range"))
		put(tx, t.Settings, table.Setting{Name: "enable-vtep", Value: "true"}, gone)
	}
}

func put[R state.Row](tx *state.Tx, t *state.Table[R], row R, gone bool) {
	if gone {
		t.Delete(tx, t.Key(row))
	} else {
		t.Put(tx, row)
	}
}

func copyRows[R state.Row](tx *state.Tx, to, from *state.Table[R], s *state.Snapshot) {
	for row := range from.All(s) {
		to.Put(tx, row)
	}
}

func TestHostsDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tables, db := table.New()
		d := both(tables)
		for range rapid.IntRange(1, 40).Draw(rt, "events") {
			write(db, func(tx *state.Tx) { change(rt, tables, tx) })
			if rapid.Bool().Draw(rt, "step") {
				d.Step(db)
			}
		}
		d.Step(db)
		fresh, freshDB := table.New()
		s := db.Snapshot()
		write(freshDB, func(tx *state.Tx) {
			copyRows(tx, fresh.Nodes, tables.Nodes, s)
			copyRows(tx, fresh.Endpoints, tables.Endpoints, s)
			copyRows(tx, fresh.Attachments, tables.Attachments, s)
			copyRows(tx, fresh.Workloads, tables.Workloads, s)
			copyRows(tx, fresh.Devices, tables.Devices, s)
			copyRows(tx, fresh.Settings, tables.Settings, s)
		})
		both(fresh).Step(freshDB)
		if diff := cmp.Diff(show(fresh, freshDB), show(tables, db)); diff != "" {
			rt.Fatalf("the path matters (-from scratch +along the path):\n%s", diff)
		}
	})
}
