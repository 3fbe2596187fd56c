package link_test

import (
	"fmt"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func TestNodesOnALinkOfThisOneAreKnownWhereTheyLeadCallsToEachOther(t *testing.T) {
	w := newWorld()
	expect := func(what string, want ...string) {
		t.Helper()
		w.step()
		var got []string
		for n := range link.Neighbors.All(w.db.Snapshot()) {
			got = append(got, fmt.Sprintf("%s dev %s", n.Address, n.Device))
		}
		if strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	w.write(func(tx *state.Tx) { w.cluster(tx) })
	expect("kube-proxy leads calls on")
	w.write(func(tx *state.Tx) { w.Settings.Put(tx, table.Setting{Name: "enable-node-port", Value: "true"}) })
	expect("but for this node, and the one beyond a router", "192.168.0.2 dev eth0", "fd01::2 dev eth0")
	w.write(func(tx *state.Tx) {
		w.Nodes.Put(tx, table.Node{Name: "n4", Addresses: addrs("192.168.0.1", "192.168.0.4")})
	})
	expect("an address of this node that another one claims, too", "192.168.0.2 dev eth0", "192.168.0.4 dev eth0", "fd01::2 dev eth0")
	w.write(func(tx *state.Tx) { w.Nodes.Delete(tx, state.Join("n4")) })
	expect("a node that is gone", "192.168.0.2 dev eth0", "fd01::2 dev eth0")
	w.write(func(tx *state.Tx) {
		w.Devices.Put(tx, table.Device{Index: 3, Name: "eth1", Up: true, MTU: 9000, Addresses: prefixes("192.168.0.9/28", "192.168.7.1/24")})
	})
	expect("the device of the longest prefix; a node that is on a link now", "192.168.0.2 dev eth1", "192.168.7.3 dev eth1", "fd01::2 dev eth0")
	w.write(func(tx *state.Tx) { w.Settings.Put(tx, table.Setting{Name: "enable-node-port", Value: "false"}) })
	expect("kube-proxy leads calls on again")
}
