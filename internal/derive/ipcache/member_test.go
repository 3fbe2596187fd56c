package ipcache

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

// told is what node n says of a NIC of a pod.
func told(n, pod, wire, address string, since int64) peer.Peer {
	return peer.Peer{
		NIC:   peer.NIC{Namespace: "shop", Name: pod + "-" + wire + address, Pod: pod, Node: n, Interface: "net1", Wire: wire, Addresses: addrs(address)},
		Since: time.Unix(since, 0),
	}
}

// there is the endpoint of a pod on node n2.
func there(pod string, number int) table.Endpoint {
	return table.Endpoint{Namespace: "shop", Name: pod, Identity: 300, Addresses: addrs("10.244.2.9"), Node: netip.MustParseAddr("192.168.0.2"), NodeName: "n2", UID: string(rune('a' + number))}
}

// here has a NIC of this node on a wire.
func here(tx *state.Tx, wire string) {
	station.Members.Put(tx, station.Member{ContainerID: "c1", First: "eth0", Interface: "net1", Wire: wire, Network: station.NetworkOf(wire)})
	station.Networks.Put(tx, station.Network{Number: station.NetworkOf(wire), Wire: wire})
}

// on lists the rows of a wire: ADDRESS IDENTITY.
func on(t *table.Tables, db *state.DB, wire string) string {
	var list []string
	for row := range t.IPCache.All(db.Snapshot()) {
		if row.Network == station.NetworkOf(wire) {
			cells := row.Row()
			list = append(list, cells[1]+" "+cells[2]+" "+cells[4])
		}
	}
	return strings.Join(list, ", ")
}

func TestAnAddressOnAWireIsThePodsThatItsNodeHasToldOf(t *testing.T) {
	tables, db := table.New()
	c := both(tables)
	expect := func(when, want string) {
		t.Helper()
		c.Step(db)
		if have := on(tables, db, "ens192"); have != want {
			t.Errorf("%s: %q, want %q", when, have, want)
		}
	}
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		peer.Peers.Put(tx, told("n2", "db", "ens192", "192.168.100.6", 5))
		tables.Endpoints.Put(tx, there("db", 1))
	})
	expect("no NIC of this node is there", "")
	write(db, func(tx *state.Tx) { here(tx, "ens192") })
	expect("one is", "192.168.100.6/32 300 cluster")
	write(db, func(tx *state.Tx) { peer.Peers.Put(tx, told("n3", "db", "ens192", "192.168.100.7", 1)) })
	expect("another node speaks for it", "192.168.100.6/32 300 cluster")
	write(db, func(tx *state.Tx) {
		e := there("old", 2)
		e.Identity = 301
		tables.Endpoints.Put(tx, e)
		peer.Peers.Put(tx, told("n2", "old", "ens192", "192.168.100.6", 4))
	})
	expect("an older claim", "192.168.100.6/32 301 cluster")
	write(db, func(tx *state.Tx) { tables.Endpoints.Delete(tx, table.ObjectKey("shop", "old")) })
	expect("whose pod is gone", "192.168.100.6/32 300 cluster")
	write(db, func(tx *state.Tx) { peer.Peers.Put(tx, told("n2", "db", "ens224", "192.168.100.8", 5)) })
	expect("another wire", "192.168.100.6/32 300 cluster")
	write(db, func(tx *state.Tx) {
		station.Networks.Delete(tx, state.Join(station.NetworkOf("ens192")))
		station.Members.Delete(tx, table.AttachmentKey("c1", "net1"))
	})
	expect("this node's NIC is gone", "")
}

func TestAPodOfAnOverlayNetworkIsReachedThroughTheTunnelInEveryMode(t *testing.T) {
	tables, db := table.New()
	c := both(tables)
	expect := func(when, want string) {
		t.Helper()
		c.Step(db)
		var list []string
		for row := range tables.IPCache.All(db.Snapshot()) {
			if row.Network != 0 {
				list = append(list, strings.Join(row.Row(), " "))
			}
		}
		if have := strings.Join(list, ", "); have != want {
			t.Errorf("%s:\n%s, want\n%s", when, have, want)
		}
	}
	told := func(n, pod, address string, number uint32) peer.Peer {
		p := told(n, pod, "overlay network blue", address, 5)
		p.Overlay = number
		return p
	}
	write(db, func(tx *state.Tx) {
		cluster(tables, tx)
		tables.Endpoints.Put(tx, there("db", 1))
		peer.Peers.Put(tx, told("n2", "db", "10.66.0.6", 7))
	})
	expect("no NIC of this node is there", "")
	write(db, func(tx *state.Tx) {
		tables.Devices.Put(tx, table.Device{Index: 8, Name: "weft02"})
		tables.Attachments.Put(tx, table.Attachment{ContainerID: "c1", Interface: "net1", HostName: "weft02", Network: 7, Addresses: addrs("10.66.0.5"), Incarnation: 2})
		tables.Workloads.Put(tx, table.Workload{ContainerID: "c1", Interface: "net1", Network: 7, Addresses: addrs("10.66.0.5"), Subject: table.Subject{Identity: 300}})
		station.Networks.Put(tx, station.Network{Number: 7, Wire: "overlay network blue"})
	})
	both := "7 10.66.0.5/32 300 8 local,cluster -, 7 10.66.0.6/32 300 0 cluster 192.168.0.2"
	expect("one is", both)
	write(db, func(tx *state.Tx) { tables.Settings.Put(tx, table.Setting{Name: "routing-mode", Value: "native"}) })
	expect("native routing", both)
	write(db, func(tx *state.Tx) {
		peer.Peers.Put(tx, told("n2", "db", "10.66.0.7", 9))
		peer.Peers.Put(tx, told("n3", "db", "10.66.0.8", 7))
	})
	expect("another network, and a node that speaks for another's pod", both)
	write(db, func(tx *state.Tx) {
		tables.Nodes.Put(tx, table.Node{Name: "n2", Addresses: addrs("fd00::2", "192.168.0.2")})
	})
	expect("its node's tunnel ends elsewhere", "7 10.66.0.5/32 300 8 local,cluster -, 7 10.66.0.6/32 300 0 cluster fd00::2")
	write(db, func(tx *state.Tx) { tables.Endpoints.Delete(tx, table.ObjectKey("shop", "db")) })
	expect("its pod is gone", "7 10.66.0.5/32 300 8 local,cluster -")
}

// Rows of peers follow from what is known, in whatever order it came to be.
func TestPeersDoNotDependOnTheOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tables, db := table.New()
		c := both(tables)
		write(db, func(tx *state.Tx) { cluster(tables, tx) })
		one := rapid.IntRange(0, 2)
		pods, nodes, wires := []string{"db", "old", "web"}, []string{"n1", "n2", "n3"}, []string{"ens192", "ens224", "br"}
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			pod, gone := pods[one.Draw(rt, "pod")], one.Draw(rt, "gone") == 0
			write(db, func(tx *state.Tx) {
				switch one.Draw(rt, "event") {
				case 0:
					put(tx, peer.Peers, told(nodes[one.Draw(rt, "node")], pod, wires[one.Draw(rt, "wire")], "192.168.100.6", int64(one.Draw(rt, "since"))), gone)
				case 1:
					put(tx, tables.Endpoints, there(pod, 1), gone)
				case 2:
					wire := wires[one.Draw(rt, "wire")]
					put(tx, station.Networks, station.Network{Number: station.NetworkOf(wire), Wire: wire}, gone)
				}
			})
			if rapid.Bool().Draw(rt, "step") {
				c.Step(db)
			}
		}
		c.Step(db)
		fresh, freshDB := table.New()
		s := db.Snapshot()
		write(freshDB, func(tx *state.Tx) {
			cluster(fresh, tx)
			copyRows(tx, peer.Peers, peer.Peers, s)
			copyRows(tx, station.Networks, station.Networks, s)
			copyRows(tx, fresh.Endpoints, tables.Endpoints, s)
		})
		both(fresh).Step(freshDB)
		for _, wire := range wires {
			if have, want := on(tables, db, wire), on(fresh, freshDB, wire); have != want {
				rt.Fatalf("the path matters on %s: %q, from scratch %q", wire, have, want)
			}
		}
	})
}
