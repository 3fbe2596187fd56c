package network_test

import (
	"fmt"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

const joined = `[{"name": "weft", "interface": "eth0", "default": true},
	{"name": "shop/storage", "interface": "net1", "ips": ["10.0.200.5"], "mac": "02:00:00:00:00:01"},
	{"name": "shop/extra", "interface": "net2", "ips": ["10.244.1.9"]},
	{"name": "shop/gone", "interface": "net3"}]`

// What Multus has had made is told of while it is there; where it does not call nothing of that counts.
func TestNICsOfMultusAreThoseOfTheAnnotation(t *testing.T) {
	b := newBench()
	others := func() string {
		b.step()
		var list []string
		for o := range network.Others.All(b.db.Snapshot()) {
			list = append(list, fmt.Sprint(o.Interface, " ", o.Definition, " ", o.Type, " ", o.Wire, " ", o.Addresses, " ", o.MAC))
		}
		return strings.Join(list, "\n")
	}
	by := first
	by.Multus = true
	p := pod("storage, extra, gone")
	p.Joined = joined
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Attachments.Put(tx, table.Attachment{ContainerID: "c1", Interface: "net2", Multus: true, Further: table.Further{First: "eth0"}})
		b.t.Pods.Put(tx, p)
		network.Definitions.Put(tx, macvlan("shop", "storage", "ens224"))
	})
	if got := others(); got != "" {
		t.Errorf("the agent makes its NICs itself: got %s", got)
	}
	b.write(func(tx *state.Tx) { b.t.Attachments.Put(tx, by) })
	const want = "net1 shop/storage macvlan ens224 [10.0.200.5] 02:00:00:00:00:01\nnet3 shop/gone   [] "
	if got := others(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.write(func(tx *state.Tx) {
		p := p
		p.UID = "u2"
		by := by
		by.UID = "u1"
		b.t.Attachments.Put(tx, by)
		b.t.Pods.Put(tx, p)
	})
	if got := others(); got != "" {
		t.Errorf("the annotation is another pod's: got %s", got)
	}
}

// A definition without a configuration is that of its file; one that has its own does not ask for files.
func TestADefinitionMayLieOnTheDisk(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod("storage"))
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "storage"})
		network.Files.Put(tx, network.File{Path: "/etc/cni/x.conf", Wrong: "it is no plain file"})
	})
	b.step()
	if got := b.rows(); !strings.Contains(got, "shop/storage has no spec.config, and no file on this node has a configuration with the name storage; not read: /etc/cni/x.conf: it is no plain file") {
		t.Error(got)
	}
	b.write(func(tx *state.Tx) {
		network.Files.Put(tx, network.File{Name: "storage", Path: "/etc/cni/y.conf", Config: `{"name": "storage", "type": "macvlan", "master": "ens224"}`})
	})
	b.step()
	if got, want := b.rows(), "interfaces c1 | net1 | shop/web | shop/storage | macvlan | ens224 | \n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	b.write(func(tx *state.Tx) { network.Definitions.Put(tx, macvlan("shop", "storage", "ens192")) })
	b.step()
	if got, want := b.rows(), "interfaces c1 | net1 | shop/web | shop/storage | macvlan | ens192 | \n"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
