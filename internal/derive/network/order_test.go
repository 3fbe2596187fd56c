package network_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

const ranged = `{"cniVersion": "1.0.0", "type": "macvlan", "master": "ens192", "ipam": {"type": "weft", "range": "10.0.200.0/24", "gateway": "10.0.200.1"}}`

// answered grants what is ordered.
func (b *bench) answered(a string, why string) {
	b.write(func(tx *state.Tx) {
		for o := range grant.Orders.All(tx) {
			g := grant.Grant{ContainerID: o.ContainerID, First: o.First, Interface: o.Interface, Terms: o.Terms, Why: why}
			if why == "" {
				g.Is = address.Grant{
					Addresses: []address.Address{{Prefix: netip.MustParsePrefix(a), Gateway: netip.MustParseAddr("10.0.200.1")}},
					Routes:    []address.Route{{Destination: netip.MustParsePrefix("10.1.0.0/16"), Gateway: netip.MustParseAddr("10.0.200.1")}},
				}
			}
			grant.Grants.Put(tx, g)
		}
	})
	b.step()
}

func (b *bench) needs() string {
	_, of := derivedNeeds(b.t)
	var text []string
	for _, n := range of(b.db.Snapshot(), first) {
		text = append(text, strings.TrimSpace(fmt.Sprint(n.What, " ", n.Lacks)))
	}
	return strings.Join(text, "; ")
}

func TestANICIsWantedWhenItsAddressesAreGranted(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		p := pod(`[{"name": "lan", "mac": "02:00:00:00:00:01"}]`)
		p.Owner = address.Owner{Kind: "StatefulSet", Namespace: "shop", Name: "db", Pod: "web"}
		b.t.Pods.Put(tx, p)
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "lan", Config: ranged})
	})
	b.step()
	orders := func() (list []grant.Order) {
		for o := range grant.Orders.All(b.db.Snapshot()) {
			list = append(list, o)
		}
		return list
	}
	if list := orders(); len(list) != 1 || list[0].MAC != "02:00:00:00:00:01" || list[0].Terms.Type != "weft" || list[0].Terms.Owner.Name != "db" {
		t.Fatalf("ordered: %+v", list)
	}
	if got := b.rows(); got != "" {
		t.Errorf("before it is granted: got\n%s", got)
	}
	if got := b.needs(); got != "addresses of NIC net1 (shop/lan); NIC net1 (shop/lan)" {
		t.Errorf("before it is granted, the ADD waits for %q", got)
	}

	b.answered("", "no free address in 10.0.200.2-10.0.200.254 (253 held)")
	if got := b.needs(); got != "NIC net1 (shop/lan) NIC net1 (shop/lan): no free address in 10.0.200.2-10.0.200.254 (253 held)" {
		t.Errorf("refused, the ADD waits for %q", got)
	}

	b.answered("10.0.200.10/24", "")
	var i network.Interface
	for i = range network.Interfaces.All(b.db.Snapshot()) {
		const want = `{"cniVersion":"1.0.0","name":"lan","plugins":[{"capabilities":{"mac":true},"ipam":{"addresses":[{"address":"10.0.200.10/24","gateway":"10.0.200.1"}],"dns":{},"routes":[{"dst":"10.1.0.0/16","gw":"10.0.200.1"}],"type":"static"},"master":"ens192","type":"macvlan"}]}`
		if i.Config != want || len(i.Addresses) != 1 {
			t.Errorf("the plugin is told\n%s, addresses %v", i.Config, i.Addresses)
		}
	}
	if got := b.needs(); i.Interface == "" || got != "NIC net1 (shop/lan)" {
		t.Errorf("granted, the ADD waits for %q; %s", got, b.rows())
	}

	// Another machine has it: the NIC waits for another one.
	taken := grant.Taken{ContainerID: "c1", First: "eth0", Interface: "net1", Address: netip.MustParseAddr("10.0.200.10"), By: "a machine"}
	b.write(func(tx *state.Tx) { grant.TakenAddresses.Put(tx, taken) })
	b.step()
	if list := orders(); len(list) != 1 || len(list[0].Not) != 1 || network.Interfaces.Len(b.db.Snapshot()) != 0 {
		t.Errorf("ordered: %+v\n%s", list, b.rows())
	}
	if got := b.needs(); got != "addresses of NIC net1 (shop/lan); NIC net1 (shop/lan)" {
		t.Errorf("before another one is granted, the ADD waits for %q", got)
	}
	b.answered("10.0.200.11/24", "")
	for i = range network.Interfaces.All(b.db.Snapshot()) {
		if len(i.Addresses) != 1 || i.Addresses[0].Addr() != netip.MustParseAddr("10.0.200.11") {
			t.Errorf("wanted with %v", i.Addresses)
		}
	}
	if n := network.Interfaces.Len(b.db.Snapshot()); n != 1 {
		t.Errorf("%d NICs are wanted", n)
	}

	// It has been made. A definition that changes, an agent that knows nothing of grants, a pod that is gone: its order stays until it is gone itself.
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, made(i))
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "lan", Config: strings.ReplaceAll(ranged, "10.0.200", "10.0.201")})
		for g := range grant.Grants.All(tx) {
			grant.Grants.Delete(tx, grant.Grants.Key(g))
		}
		b.t.Pods.Delete(tx, table.ObjectKey("shop", "web"))
	})
	b.step()
	if list := orders(); len(list) != 1 || !list[0].Terms.Equal(i.Terms) || network.Interfaces.Len(b.db.Snapshot()) != 1 {
		t.Errorf("it has been made: ordered %+v\n%s", list, b.rows())
	}
	b.write(func(tx *state.Tx) { b.t.Attachments.Delete(tx, b.t.Attachments.Key(first)) })
	b.step()
	if list := orders(); len(list) != 1 {
		t.Errorf("its container is detached, and it is there: ordered %+v", list)
	}
	b.write(func(tx *state.Tx) { network.Finished.Delete(tx, network.Finished.Key(made(i))) })
	b.step()
	if list := orders(); len(list) != 0 {
		t.Errorf("it is gone: ordered %+v", list)
	}
}

func TestARangeThatMakesNoSenseIsSaidBeforeAnythingIsOrdered(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod("lan"))
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "lan", Config: strings.Replace(ranged, "10.0.200.0/24", "10.0.200.0", 1)})
	})
	b.step()
	for w := range network.Troubles.All(b.db.Snapshot()) {
		if !strings.HasPrefix(w.Lacks, `shop/lan: ipam.range: "10.0.200.0" is no range`) {
			t.Errorf("it lacks %q", w.Lacks)
		}
	}
	if s := b.db.Snapshot(); network.Troubles.Len(s) != 1 || grant.Orders.Len(s) != 0 {
		t.Errorf("got\n%s", b.rows())
	}
}
