package policy

import (
	"strings"
	"testing"

	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/station"
)

// closed says where ingress of identity 300 is isolated: sets, by what sets them apart.
func (b *bed) closed() string {
	b.show()
	var list []string
	for set := range b.PolicySets.All(b.db.Snapshot()) {
		for _, e := range set.Entries {
			if e.Peer == 0 && e.Protocol == 0 && e.Direction == engine.Ingress && e.View == engine.InForce && set.Identity == 300 {
				list = append(list, set.NamedPorts+": "+e.Verdict.String())
			}
		}
	}
	return strings.Join(list, ", ")
}

func TestASetHoldsWhereItsPoliciesDo(t *testing.T) {
	b := newBed()
	const wire = "ens192"
	number := station.NetworkOf(wire)
	at := station.Scope{Network: number}.String()
	member := station.Member{ContainerID: "c1", First: "eth0", Interface: "net1", Namespace: "shop", Pod: "db", Definition: "shop/storage", Wire: wire, Network: number}
	object := func(networks []string) table.PolicyObject {
		return table.PolicyObject{
			Kind: "NetworkPolicy", Namespace: "shop", Name: "db", Valid: true,
			Rules: []engine.Rule{{Subject: selector("db"), DefaultDenyIngress: true, Networks: networks}},
		}
	}
	expect := func(when, want string) {
		t.Helper()
		if have := b.closed(); have != want {
			t.Errorf("%s: %s; want %s", when, have, want)
		}
	}
	b.write(func(tx *state.Tx) {
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: app("db")})
		b.Workloads.Put(tx, workload("c1", "db", 300))
		b.Policies.Put(tx, object([]string{"shop/storage"}))
	})
	expect("no further NIC", ": allow")
	b.write(func(tx *state.Tx) { station.Members.Put(tx, member) })
	expect("a definition that is gone is known by its NICs", ": allow, "+at+": deny-implicit")
	b.write(func(tx *state.Tx) {
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "storage", Number: station.NetworkOf("ens224")})
	})
	expect("it leads elsewhere now, and the NIC is where it was", ": allow, "+at+": deny-implicit")
	other := member
	other.Definition = "shop/other"
	b.write(func(tx *state.Tx) { station.Members.Put(tx, other) })
	expect("the NIC is by another definition", ": allow, "+at+": allow")
	b.write(func(tx *state.Tx) { station.Members.Put(tx, member) })
	expect("by this one again", ": allow, "+at+": deny-implicit")
	b.write(func(tx *state.Tx) {
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "storage", Number: number})
	})
	expect("and back", ": allow, "+at+": deny-implicit")
	member.Audit = true
	b.write(func(tx *state.Tx) { station.Members.Put(tx, member) })
	expect("audited", ": allow, "+member.Scope().String()+": allow")
	member.Audit = false
	b.write(func(tx *state.Tx) { station.Members.Put(tx, member); b.Policies.Put(tx, object(nil)) })
	expect("a policy of all networks", ": deny-implicit, "+at+": deny-implicit")
	b.write(func(tx *state.Tx) { b.Policies.Put(tx, object([]string{})) })
	expect("of none", ": allow, "+at+": allow")
	b.write(func(tx *state.Tx) { station.Members.Delete(tx, station.Members.Key(member)) })
	expect("its NIC is gone", ": allow")
}

// Who may turn a definition into one of the pod network must not isolate pods of other namespaces by a policy of the whole cluster.
func TestAPolicyOfTheClusterHoldsAtFirstNICsByTrustedDefinitionsAlone(t *testing.T) {
	for _, c := range []struct {
		kind, namespace, definition string
		global                      []string
		closed                      bool
	}{
		{"CiliumClusterwideNetworkPolicy", "", "shop/lan", nil, false},
		{"CiliumClusterwideNetworkPolicy", "", "shop/lan", []string{"infra"}, false},
		{"CiliumClusterwideNetworkPolicy", "", "shop/lan", []string{"shop"}, true},
		{"ClusterNetworkPolicy", "", "shop/lan", nil, false},
		{"CiliumClusterwideNetworkPolicy", "", "kube-system/lan", nil, true},
		{"NetworkPolicy", "shop", "shop/lan", nil, true},
	} {
		b := newBed()
		b.write(func(tx *state.Tx) {
			b.Identities.Put(tx, table.Identity{Number: 300, Labels: app("db")})
			b.Workloads.Put(tx, workload("c1", "db", 300))
			namespace, name, _ := strings.Cut(c.definition, "/")
			network.Definitions.Put(tx, network.Definition{Namespace: namespace, Name: name})
			b.Policies.Put(tx, table.PolicyObject{
				Kind: c.kind, Namespace: c.namespace, Name: "db", Valid: true,
				Rules: []engine.Rule{{
					Origin: engine.Origin{Kind: c.kind, Namespace: c.namespace, Name: "db"}, Subject: selector("db"), DefaultDenyIngress: true,
					Networks: []string{c.definition},
				}},
			})
		})
		b.show()
		b.write(func(tx *state.Tx) {
			b.Configs.Put(tx, table.Config{Concern: settings.OfNetworks, Settings: settings.Config{Networks: settingsnetwork.Networks{Global: c.global}}})
		})
		if have := b.closed() == ": deny-implicit"; have != c.closed {
			t.Errorf("%s, %s, global %v: closed %v", c.kind, c.definition, c.global, have)
		}
	}
}

func TestUnderIsolationThePoliciesOfADefinitionFollowItsOwnWire(t *testing.T) {
	b := newBed()
	named, plain := station.NetworkOf("ens192"), station.NetworkOf("ens192, VLAN 4000")
	config := func(n settingsnetwork.Networks) {
		b.write(func(tx *state.Tx) {
			b.Configs.Put(tx, table.Config{Concern: settings.OfNetworks, Settings: settings.Config{Networks: n}})
		})
	}
	b.write(func(tx *state.Tx) {
		b.Identities.Put(tx, table.Identity{Number: 300, Labels: app("db")})
		b.Workloads.Put(tx, workload("c1", "db", 300))
		station.Members.Put(tx, station.Member{ContainerID: "c1", First: "eth0", Interface: "net1", Definition: "infra/any", Wire: "ens192", Network: named})
		network.Definitions.Put(tx, network.Definition{Namespace: "shop", Name: "lan", Wire: "ens192", Number: named, Plain: plain})
		b.Policies.Put(tx, table.PolicyObject{
			Kind: "NetworkPolicy", Namespace: "shop", Name: "db", Valid: true,
			Rules: []engine.Rule{{Subject: selector("db"), DefaultDenyIngress: true, Networks: []string{"shop/lan"}}},
		})
	})
	at := station.Scope{Network: named}.String()
	for _, c := range []struct {
		networks settingsnetwork.Networks
		want     string
	}{
		{settingsnetwork.Networks{}, "deny-implicit"},
		{settingsnetwork.Networks{Isolation: true}, "allow"},
		{settingsnetwork.Networks{Isolation: true, Global: []string{"shop"}}, "deny-implicit"},
	} {
		config(c.networks)
		if have, want := b.closed(), ": allow, "+at+": "+c.want; have != want {
			t.Errorf("%+v: %s; want %s", c.networks, have, want)
		}
	}
}
