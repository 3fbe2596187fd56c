package peer

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

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
	for _, r := range b.runs {
		r.Step(b.db)
	}
}

// expect compares the rows of a table, but for names of objects.
func expect[R state.Row](b *bench, of *state.Table[R], want ...string) {
	b.Helper()
	var have []string
	for row := range of.All(b.db.Snapshot()) {
		have = append(have, strings.Join(row.Row(), " "))
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		b.Errorf("table %s:\n%s\nwant\n%s", of.Name(), strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func made(container, nic, kind, address string) network.Made {
	return network.Made{
		Want: network.Interface{ContainerID: container, First: "eth0", Interface: nic, Namespace: "shop", Pod: "web", Definition: "shop/storage", Wire: "ens192", Type: kind},
		MAC:  "02:00:00:00:00:01", Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
	}
}

func attached(container string, incarnation uint32) table.Attachment {
	return table.Attachment{ContainerID: container, Interface: "eth0", Namespace: "shop", Pod: "web", HostName: "weft" + container, Incarnation: incarnation}
}

func TestANodeTellsOfTheNICsThatLeadToOtherNodes(t *testing.T) {
	b := newBench(t)
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, attached("c1", 1))
		network.Finished.Put(tx, made("c1", "net1", "macvlan", "192.168.100.5/24"))
		own := made("c1", "net2", "bridge", "10.9.0.5/24")
		own.Want.Wire = "bridge br0"
		network.Finished.Put(tx, own)
	})
	expect(b, peer.Published) // neither the node nor the pod is known
	b.write(func(tx *state.Tx) {
		b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true})
		b.t.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web", UID: "u1"})
	})
	name := "shop/" + peer.NameOf("web", "u1", "net1")
	expect(b, peer.Published, name+" shop/web n1 net1 shop/storage ens192 192.168.100.5 02:00:00:00:00:01")

	// A bridge whose wire has a name, by which other nodes know it, and a NIC that Multus has made.
	lan := made("c1", "net3", "bridge", "10.9.1.5/24")
	lan.Want.Wire = "lan"
	b.write(func(tx *state.Tx) {
		network.Finished.Put(tx, lan)
		network.Found.Put(tx, made("c1", "net4", "macvlan", "192.168.100.7/24"))
	})
	expect(b, peer.Published,
		"shop/"+peer.NameOf("web", "u1", "net3")+" shop/web n1 net3 shop/storage lan 10.9.1.5 02:00:00:00:00:01",
		name+" shop/web n1 net1 shop/storage ens192 192.168.100.5 02:00:00:00:00:01",
		"shop/"+peer.NameOf("web", "u1", "net4")+" shop/web n1 net4 shop/storage ens192 192.168.100.7 02:00:00:00:00:01")
	b.write(func(tx *state.Tx) {
		network.Finished.Delete(tx, network.Finished.Key(lan))
		network.Found.Delete(tx, table.AttachmentKey("c1", "net4"))
	})

	// A container that follows another one of the pod.
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, attached("c2", 2))
		network.Finished.Put(tx, made("c2", "net1", "macvlan", "192.168.100.9/24"))
	})
	expect(b, peer.Published, name+" shop/web n1 net1 shop/storage ens192 192.168.100.9 02:00:00:00:00:01")
	b.write(func(tx *state.Tx) { b.t.Pods.Delete(tx, table.ObjectKey("shop", "web")) })
	expect(b, peer.Published)
}

func TestTwoPodsThatClaimOneAddressAreNamed(t *testing.T) {
	b := newBench(t)
	claim := func(node, pod string, since int64) peer.Peer {
		return peer.Peer{NIC: peer.NIC{Namespace: "shop", Name: pod, Pod: pod, Node: node, Interface: "net1", Wire: "ens192", Addresses: []netip.Addr{netip.MustParseAddr("192.168.100.5")}}, Since: time.Unix(since, 0)}
	}
	b.write(func(tx *state.Tx) {
		b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true})
		station.Members.Put(tx, station.Member{
			ContainerID: "c1", First: "eth0", Interface: "net1", Namespace: "shop", Pod: "web", Wire: "ens192", Network: station.NetworkOf("ens192"),
			Addresses: []netip.Addr{netip.MustParseAddr("192.168.100.5")},
		})
		peer.Peers.Put(tx, claim("n1", "web", 5))
		peer.Peers.Put(tx, claim("n2", "evil", 6))
	})
	expect(b, peer.Conflicts) // evil is no pod of n2
	b.write(func(tx *state.Tx) {
		b.t.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "evil", Identity: 300, NodeName: "n2"})
	})
	expect(b, peer.Conflicts, "ens192 192.168.100.5 shop/web shop/evil on node n2 true")
	b.write(func(tx *state.Tx) { peer.Peers.Put(tx, claim("n1", "web", 7)) })
	expect(b, peer.Conflicts, "ens192 192.168.100.5 shop/web shop/evil on node n2 false")
	b.write(func(tx *state.Tx) { peer.Peers.Delete(tx, table.ObjectKey("shop", "evil")) })
	expect(b, peer.Conflicts)
}

func TestANodeTellsOfItsNICsInOverlayNetworks(t *testing.T) {
	b := newBench(t)
	address := []netip.Addr{netip.MustParseAddr("10.66.0.5")}
	b.write(func(tx *state.Tx) {
		b.t.Nodes.Put(tx, table.Node{Name: "n1", Local: true})
		b.t.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web", UID: "u1"})
		b.t.Attachments.Put(tx, attached("c1", 1))
		nic := attached("c1", 2)
		nic.Interface, nic.Network, nic.Addresses, nic.MAC = "net1", 7, address, "02:00:00:00:00:01"
		nic.Further, nic.Overlay = table.Further{First: "eth0", Definition: "shop/blue"}, attach.Overlay{Name: "blue"}
		b.t.Attachments.Put(tx, nic)
	})
	expect(b, peer.Published, "shop/"+peer.NameOf("web", "u1", "net1")+" shop/web n1 net1 shop/blue overlay network blue 10.66.0.5 02:00:00:00:00:01")
	for n := range peer.Published.All(b.db.Snapshot()) {
		if n.Network() != 7 {
			t.Errorf("in network %d", n.Network())
		}
	}
	claim := func(number uint32) peer.Peer {
		return peer.Peer{NIC: peer.NIC{
			Namespace: "shop", Name: "twin", Pod: "twin", Node: "n2", Interface: "net1", Wire: "overlay network blue", Overlay: number, Addresses: address,
		}}
	}
	b.write(func(tx *state.Tx) {
		b.t.Endpoints.Put(tx, table.Endpoint{Namespace: "shop", Name: "twin", Identity: 300, NodeName: "n2"})
		peer.Peers.Put(tx, claim(8))
	})
	expect(b, peer.Conflicts) // of another network
	b.write(func(tx *state.Tx) { peer.Peers.Put(tx, claim(7)) })
	expect(b, peer.Conflicts, "overlay network blue 10.66.0.5 shop/web shop/twin on node n2 false")
}
