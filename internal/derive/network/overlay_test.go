package network_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
)

func subnet() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.66.0.0/24")} }

func inBlue(ipam string) network.Definition {
	return network.Definition{Namespace: "shop", Name: "blue", Config: `{"cniVersion": "1.0.0", "type": "cilium-cni", "network": "blue"` + ipam + `}`, Overlay: "blue"}
}

func text(t *testing.T, terms grant.Terms) string {
	t.Helper()
	out, err := json.Marshal(terms)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// lacks is what keeps NICs away.
func (b *bench) lacks() string {
	var list []string
	for w := range network.Troubles.All(b.db.Snapshot()) {
		list = append(list, w.Lacks)
	}
	return strings.Join(list, "; ")
}

// wanted is the only NIC that is.
func (b *bench) wanted() (i network.Interface) {
	for i = range network.Interfaces.All(b.db.Snapshot()) {
	}
	return i
}

func TestANICWaitsForItsOverlayNetwork(t *testing.T) {
	b := newBench()
	expect := func(want string) {
		t.Helper()
		b.step()
		if got := b.lacks(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	network1 := overlay.Network{Name: "blue", Subnets: subnet(), MTU: 1400}
	is := func(change func(n *overlay.Network)) {
		n := network1
		change(&n)
		b.write(func(tx *state.Tx) { overlay.Networks.Put(tx, n) })
	}
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod(`[{"name": "blue", "ips": ["10.66.0.5"], "mac": "02:00:00:00:00:01"}]`))
		network.Definitions.Put(tx, inBlue(`, "ipam": {"type": "static"}`))
	})
	expect("shop/blue: network: there is no OverlayNetwork blue")
	is(func(*overlay.Network) {})
	expect("shop/blue: OverlayNetwork blue has no number yet")
	is(func(n *overlay.Network) { n.Lacks = "spec.subnets[0]: no subnet" })
	expect("shop/blue: OverlayNetwork blue: spec.subnets[0]: no subnet")
	is(func(n *overlay.Network) { n.Number, n.Leaving = 7, true })
	expect("shop/blue: OverlayNetwork blue is being deleted")
	b.write(func(tx *state.Tx) { overlay.Networks.Put(tx, overlay.Network{Name: "green", Number: 7}) })
	is(func(n *overlay.Network) { n.Number = 7 })
	expect("shop/blue: OverlayNetworks blue and green have one number, 7")
	is(func(n *overlay.Network) { n.Number = 8 })
	expect("")
	i := b.wanted()
	if i.Overlay != "blue" || i.Network != 8 || i.MTU != 1400 || !i.Own || i.Wire != "overlay network blue" || len(i.Subnets) != 1 || i.Terms.Type != "" ||
		len(i.Addresses) != 1 || i.Addresses[0].Addr() != netip.MustParseAddr("10.66.0.5") || i.MAC != "02:00:00:00:00:01" {
		t.Errorf("wanted is %+v", i)
	}
	for asked, want := range map[string]string{
		`[{"name": "blue", "ips": ["10.67.0.5"]}]`:                                 "shop/blue: ips: 10.67.0.5 lies in no subnet of overlay network blue (10.66.0.0/24)",
		`[{"name": "blue", "ips": ["10.66.0.0"]}]`:                                 "shop/blue: ips: 10.66.0.0 is the subnet's own address, which no NIC can have",
		`[{"name": "blue", "ips": ["10.66.0.5"], "default-route": ["10.66.0.1"]}]`: "shop/blue: nothing leads out of overlay network blue, so it has no default route",
	} {
		b.write(func(tx *state.Tx) { b.t.Pods.Put(tx, pod(asked)) })
		expect(want)
	}
}

func TestANICInAnOverlayNetworkStaysAsItWasMade(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod("blue"))
		network.Definitions.Put(tx, inBlue(""))
		overlay.Networks.Put(tx, overlay.Network{Name: "blue", Number: 8, Subnets: subnet()})
	})
	b.step()
	orders := func() (list []grant.Order) {
		for o := range grant.Orders.All(b.db.Snapshot()) {
			list = append(list, o)
		}
		return list
	}
	if list := orders(); len(list) != 1 || !strings.Contains(list[0].Terms.Config, `"ipRanges":[{"range":"10.66.0.0/24"}],"network_name":"overlay/blue"`) {
		t.Fatalf("ordered: %+v", list)
	}
	b.answered("10.66.0.9/24", "")
	i := b.wanted()
	if i.Interface != "net1" || len(i.Addresses) != 1 || i.Addresses[0].String() != "10.66.0.9/24" || i.Terms.Type != "weft" {
		t.Fatalf("wanted is %+v, lacks %q", i, b.lacks())
	}
	terms := orders()[0].Terms
	// It is made; the network and the definition go, and another of the name comes.
	b.write(func(tx *state.Tx) {
		nic := first
		nic.Interface, nic.HostName, nic.Incarnation, nic.Network = "net1", "weft1", 2, 8
		nic.Addresses = []netip.Addr{netip.MustParseAddr("10.66.0.9")}
		nic.Further = table.Further{First: "eth0", Definition: i.Definition, Number: i.Number, Request: i.Request}
		nic.Overlay = attach.Overlay{Name: "blue", Subnets: subnet(), Terms: text(t, terms)}
		b.t.Attachments.Put(tx, nic)
		overlay.Networks.Put(tx, overlay.Network{Name: "blue", Number: 9, Subnets: subnet()})
		network.Definitions.Delete(tx, table.ObjectKey("shop", "blue"))
		for g := range grant.Grants.All(tx) {
			grant.Grants.Delete(tx, grant.Grants.Key(g))
		}
	})
	b.step()
	if i = b.wanted(); i.Network != 8 || i.Addresses[0].String() != "10.66.0.9/24" || b.lacks() != "" {
		t.Errorf("wanted is %+v, lacks %q", i, b.lacks())
	}
	if list := orders(); len(list) != 1 || !list[0].Terms.Equal(terms) || list[0].Has[0].String() != "10.66.0.9/24" {
		t.Errorf("ordered: %+v", list)
	}
	// Its container ends: the order lasts until the NIC is gone.
	b.write(func(tx *state.Tx) {
		leaving := first
		leaving.Leaving = true
		b.t.Attachments.Put(tx, leaving)
	})
	b.step()
	if i = b.wanted(); i.Interface != "" || len(orders()) != 1 {
		t.Errorf("its container ends: wanted is %+v, ordered %+v", i, orders())
	}
	b.write(func(tx *state.Tx) { b.t.Attachments.Delete(tx, table.AttachmentKey("c1", "net1")) })
	b.step()
	if len(orders()) != 0 {
		t.Errorf("it is gone: ordered %+v", orders())
	}
}

func TestANICInAnOverlayNetworkFallsSilentWithItsNode(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		nic := first
		nic.Interface, nic.Network, nic.Further = "net1", 8, table.Further{First: "eth0"}
		nic.Overlay = attach.Overlay{Name: "blue", Subnets: subnet(), Terms: text(t, grant.Terms{Type: "weft", Claim: "c"})}
		b.t.Attachments.Put(tx, first)
		b.t.Attachments.Put(tx, nic)
		grant.Lapses.Put(tx, grant.Lapse{Why: "no word from the API server"})
	})
	b.step()
	n := 0
	for s := range grant.Silences.All(b.db.Snapshot()) {
		if n++; s.Interface != "net1" || s.Netns != first.Netns {
			t.Errorf("silent is %+v", s)
		}
	}
	if n != 1 {
		t.Errorf("%d are silent", n)
	}
}
