package network_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	derive "weftnet.io/weftnet/internal/derive/network"
	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

var derivedNeeds = derive.Needs

type bench struct {
	t    *table.Tables
	db   *state.DB
	runs []state.AnyDerivation
}

func newBench() *bench {
	t, db := table.New()
	return &bench{t, db, derive.Derivations(t)}
}

func (b *bench) write(fn func(tx *state.Tx)) {
	_ = b.db.Write(func(tx *state.Tx) error { fn(tx); return nil })
}

func (b *bench) step() {
	for range 2 {
		for _, d := range b.runs {
			d.Step(b.db)
		}
	}
}

// rows are all that has been derived.
func (b *bench) rows() string {
	var text strings.Builder
	for _, t := range []state.AnyTable{network.Interfaces, network.Troubles, network.Statuses} {
		for _, row := range t.Rows(b.db.Snapshot()) {
			fmt.Fprintln(&text, t.Name(), strings.Join(row.Row(), " | "))
		}
	}
	return text.String()
}

var first = table.Attachment{ContainerID: "c1", Interface: "eth0", Netns: "/run/netns/c1", Namespace: "shop", Pod: "web", HostName: "weft0", Incarnation: 1}

func pod(networks string) table.Pod {
	return table.Pod{Namespace: "shop", Name: "web", UID: "u1", Networks: networks}
}

func macvlan(namespace, name, master string) network.Definition {
	return network.Definition{Namespace: namespace, Name: name, Config: `{"cniVersion": "1.0.0", "type": "macvlan", "master": "` + master + `"}`}
}

func made(i network.Interface) network.Made {
	return network.Made{Want: i, MAC: "02:00:00:00:00:01", MTU: 1500}
}

func TestWhatIsMadeStaysWhateverBecomesOfItsDefinitionAndItsPod(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod("storage, extra"))
		network.Definitions.Put(tx, macvlan("shop", "storage", "ens224"))
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "extra", Config: `{"type": "cilium-cni"}`})
	})
	b.step()
	const want = "interfaces c1 | net1 | shop/web | shop/storage | macvlan | ens224 | \n" +
		"interfaces c1 | net2 | shop/web | shop/extra | cilium-cni | the pod network | \n"
	if got := b.rows(); got != want {
		t.Fatalf("got\n%swant\n%s", got, want)
	}
	b.write(func(tx *state.Tx) {
		for i := range network.Interfaces.All(tx) {
			if i.Own {
				b.t.Attachments.Put(tx, table.Attachment{
					ContainerID: "c1", Interface: i.Interface, Netns: i.Netns, Namespace: "shop", Pod: "web", UID: "u1", HostName: "weft1", Incarnation: 2,
					Further: table.Further{First: "eth0", Definition: i.Definition, Number: i.Number, Request: i.Request},
				})
			} else {
				network.Finished.Put(tx, made(i))
			}
		}
	})
	for _, change := range []struct {
		what string
		do   func(*state.Tx)
	}{
		{"another configuration", func(tx *state.Tx) { network.Definitions.Put(tx, macvlan("shop", "storage", "ens192")) }},
		{"no definitions", func(tx *state.Tx) {
			network.Definitions.Delete(tx, table.ObjectKey("shop", "storage"))
			network.Definitions.Delete(tx, table.ObjectKey("shop", "extra"))
		}},
		{"a pod that is deleted by force", func(tx *state.Tx) { b.t.Pods.Delete(tx, table.ObjectKey("shop", "web")) }},
	} {
		b.write(change.do)
		b.step()
		if got := b.rows(); got != want {
			t.Errorf("%s: got\n%swant\n%s", change.what, got, want)
		}
	}
	b.write(func(tx *state.Tx) {
		leaving := first
		leaving.Leaving = true
		b.t.Attachments.Put(tx, leaving)
	})
	b.step()
	if got := b.rows(); got != "" {
		t.Errorf("its DEL has begun: got\n%s", got)
	}
}

func TestANICKeepsWhatItsDefinitionSaidOfPolicyWhenItWasMade(t *testing.T) {
	b := newBench()
	closed := macvlan("shop", "storage", "ens224")
	closed.Policy = "all"
	b.write(func(tx *state.Tx) {
		b.t.Attachments.Put(tx, first)
		b.t.Pods.Put(tx, pod("storage"))
		network.Definitions.Put(tx, closed)
	})
	b.step()
	expect := func(when string) {
		t.Helper()
		for i := range network.Interfaces.All(b.db.Snapshot()) {
			if i.Policy == "all" {
				return
			}
		}
		t.Errorf("%s: got\n%s", when, b.rows())
	}
	expect("it is to be made")
	b.write(func(tx *state.Tx) {
		for i := range network.Interfaces.All(tx) {
			network.Finished.Put(tx, made(i))
		}
		network.Definitions.Put(tx, macvlan("shop", "storage", "ens224"))
	})
	b.step()
	expect("the definition says nothing any more")
	b.write(func(tx *state.Tx) { network.Definitions.Delete(tx, table.ObjectKey("shop", "storage")) })
	b.step()
	expect("the definition is gone")
}

// With isolation who may write a definition in a namespace claims no addresses on a wire by naming that.
func TestUnderIsolationADefinitionNamesItsWireWhereItIsGlobal(t *testing.T) {
	for _, c := range []struct {
		networks settingsnetwork.Networks
		asks     string
		wire     string
	}{
		{settingsnetwork.Networks{}, "storage", "ens192"},
		{settingsnetwork.Networks{Isolation: true}, "storage", "ens192, VLAN 4000"},
		{settingsnetwork.Networks{Isolation: true, Global: []string{"infra"}}, "storage", "ens192, VLAN 4000"},
		{settingsnetwork.Networks{Isolation: true, Global: []string{"infra"}}, "infra/storage", "ens192"},
	} {
		b := newBench()
		b.write(func(tx *state.Tx) {
			b.t.Configs.Put(tx, table.Config{Concern: settings.OfNetworks, Settings: settings.Config{Networks: c.networks}})
			b.t.Attachments.Put(tx, first)
			b.t.Pods.Put(tx, pod(c.asks))
			for _, namespace := range []string{"shop", "infra"} {
				d := macvlan(namespace, "storage", "ens192.4000")
				d.Wire = "ens192"
				network.Definitions.Put(tx, d)
			}
		})
		b.step()
		n := 0
		for i := range network.Interfaces.All(b.db.Snapshot()) {
			if n++; i.Wire != c.wire {
				t.Errorf("%+v %s: it leads to %s, want %s", c.networks, c.asks, i.Wire, c.wire)
			}
		}
		if n != 1 {
			t.Errorf("%+v %s: got\n%s", c.networks, c.asks, b.rows())
		}
	}
}

func TestAPodThatAsksForAnotherFirstNetworkGetsNoOtherSilently(t *testing.T) {
	for _, c := range []struct{ asks, want string }{
		{"plain", ""},
		{"shop/lan", "shop/lan | v1.multus-cni.io/default-network: eth0 is made in the pod network, and not by macvlan (shop/lan)"},
		{`[{"name": "plain", "ips": ["10.1.2.3"]}]`, "kube-system/plain | v1.multus-cni.io/default-network: ips, mac and default-route are not taken for eth0"},
		{"lan", "kube-system/lan | kube-system/lan not found; shop/lan exists"},
		{"plain, shop/lan", " | annotation v1.multus-cni.io/default-network: it names 2 definitions, and one takes the place of the cluster's network"},
		{"a b", ` | annotation v1.multus-cni.io/default-network: "a b" is no name of an object: small letters, digits, - and . may be in it`},
	} {
		b := newBench()
		b.write(func(tx *state.Tx) {
			b.t.Attachments.Put(tx, first)
			b.t.Pods.Put(tx, table.Pod{Namespace: "shop", Name: "web", UID: "u1", Default: c.asks})
			network.Definitions.Put(tx, macvlan("shop", "lan", "ens224"))
			network.Definitions.Put(tx, network.Definition{Namespace: "kube-system", Name: "plain", Config: `{"type": "cilium-cni"}`})
		})
		b.step()
		want := ""
		if c.want != "" {
			want = "interface-troubles c1 | eth0 | shop/web | " + c.want + "\n"
		}
		if got := b.rows(); got != want {
			t.Errorf("%s: got\n%swant\n%s", c.asks, got, want)
		}
		_, needs := derive.Needs(b.t)
		if lacks := needs(b.db.Snapshot(), first); (len(lacks) > 0) != (want != "") {
			t.Errorf("%s: needs %v", c.asks, lacks)
		}
	}
}

func TestWhatIsMissingIsSaidWithWhatIsNear(t *testing.T) {
	for _, c := range []struct{ networks, want string }{
		{"vlan-100", "shop/vlan-100 not found; prod/vlan-100 exists"},
		{"storage-net", "shop/storage-net not found; shop/storage-network is near"},
		{"backup", "shop/backup not found, nor anything with such a name"},
		{`[{"name": "lan", "ips": ["10.2.0.9/24"]}]`, "shop/lan not found; prod/lan exists, but its subnet 10.1.0.0/24 has not 10.2.0.9, which is asked for"},
		{"storage-network@eth0", "annotation k8s.v1.cni.cncf.io/networks: eth0 is there already: it is an interface of the workload's own; take another name"},
	} {
		b := newBench()
		b.write(func(tx *state.Tx) {
			b.t.Attachments.Put(tx, first)
			b.t.Pods.Put(tx, pod(c.networks))
			network.Definitions.Put(tx, macvlan("prod", "vlan-100", "ens192"))
			network.Definitions.Put(tx, macvlan("shop", "storage-network", "ens192"))
			network.Definitions.Put(tx, network.Definition{Namespace: "prod", Name: "lan", Config: `{"type": "macvlan", "master": "ens192", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.0/24"}]}}`})
		})
		b.step()
		for w := range network.Troubles.All(b.db.Snapshot()) {
			if w.Lacks != c.want {
				t.Errorf("%s: got %q, want %q", c.networks, w.Lacks, c.want)
			}
		}
		if network.Troubles.Len(b.db.Snapshot()) != 1 || network.Interfaces.Len(b.db.Snapshot()) != 0 {
			t.Errorf("%s: got\n%s", c.networks, b.rows())
		}
	}
}

func TestNothingIsWantedWhereMultusCalls(t *testing.T) {
	b := newBench()
	b.write(func(tx *state.Tx) {
		called := first
		called.Multus = true
		b.t.Attachments.Put(tx, called)
		b.t.Pods.Put(tx, pod("storage, missing"))
		network.Definitions.Put(tx, macvlan("shop", "storage", "ens224"))
	})
	b.step()
	if got := b.rows(); got != "" {
		t.Errorf("got\n%s", got)
	}
}

// State is a function of facts: in whatever order they come, and however often they change in between, the same rows follow.
func TestTheOrderOfFactsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SampledFrom([]string{"", "storage", "storage, other@x", "missing", "storage@", "prod/lan, storage"})
		networks := text.Draw(rt, "networks")
		facts := []func(*bench, *state.Tx){
			func(b *bench, tx *state.Tx) { b.t.Attachments.Put(tx, first) },
			func(b *bench, tx *state.Tx) { b.t.Pods.Put(tx, pod(networks)) },
			func(b *bench, tx *state.Tx) { network.Definitions.Put(tx, macvlan("shop", "storage", "ens224")) },
			func(b *bench, tx *state.Tx) { network.Definitions.Put(tx, macvlan("prod", "lan", "ens192")) },
			func(b *bench, tx *state.Tx) {
				b.t.Ready.Put(tx, table.Ready{ContainerID: "c1", Interface: "eth0", HostName: "weft0"})
			},
		}
		noise := []func(*bench, *state.Tx){
			func(b *bench, tx *state.Tx) { b.t.Attachments.Delete(tx, b.t.Attachments.Key(first)) },
			func(b *bench, tx *state.Tx) { b.t.Pods.Put(tx, pod(text.Draw(rt, "other"))) },
			func(b *bench, tx *state.Tx) { network.Definitions.Delete(tx, table.ObjectKey("shop", "storage")) },
			func(b *bench, tx *state.Tx) { network.Definitions.Put(tx, macvlan("prod", "lan", "ens1")) },
		}
		all := newBench()
		all.write(func(tx *state.Tx) {
			for _, f := range facts {
				f(all, tx)
			}
		})
		all.step()
		b := newBench()
		for range rapid.IntRange(0, 8).Draw(rt, "changes") {
			b.write(func(tx *state.Tx) { rapid.SampledFrom(append(noise, facts...)).Draw(rt, "change")(b, tx) })
			b.step()
		}
		for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(rt, "order") {
			b.write(func(tx *state.Tx) { facts[i](b, tx) })
			b.step()
		}
		if got, want := b.rows(), all.rows(); got != want {
			rt.Fatalf("got\n%swant\n%s", got, want)
		}
	})
}
