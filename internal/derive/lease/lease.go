// Package lease derives which leases are to be kept, under which name servers know them, and that pods wait for the first of each.
//
// # The world it models
//
//	interfaces-made  c1 net1 of prod/vlan-100, which says DHCP    ->  lease-orders  c1 net1
//	leases           c1 net1 "no server answers on ens192"        ->  needs         c1 eth0 lacks "… no server answers on ens192"
//
// The name that servers know a NIC by is that of its owner:
//
//	pod db-0 of a StatefulSet         weft/prod/pod/db-0/prod/vlan-100
//	virtual machine press             weft/prod/vm/press/prod/vlan-100
//	any other                         weft/c0ffee…/net1
//
// # Invariants
//
//   - Two NICs of one network in a pod have two names.
//   - A pod is ready once each lease has been there; one that is lost later does not take that back.
//
// # Example
//
//	for _, d := range lease.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package lease

import (
	"crypto/sha256"
	"fmt"

	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/lease"
	"weftnet.io/weftnet/internal/table/network"
)

// Derivations keeps Orders.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{&state.Derivation[lease.Order]{
		Name: "lease-orders", Out: lease.Orders,
		KeyOf: func(o lease.Order) state.Key { return state.Join(o.ContainerID) },
		Inputs: []state.Input{
			state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key { return []state.Key{state.Join(m.Want.ContainerID)} }),
		},
		Compute: func(r state.Reader, container state.Key) (list []lease.Order) {
			seen := map[string]bool{}
			for m := range network.Finished.Prefix(r, container) {
				if m.Want.DHCP == "" {
					continue
				}
				o := order(m)
				if seen[o.Client] {
					o.Client = bounded(o.Client + "/" + o.Interface)
				}
				seen[o.Client] = true
				list = append(list, o)
			}
			return list
		},
	}}
}

func order(m network.Made) lease.Order {
	w := m.Want
	o := lease.Order{
		ContainerID: w.ContainerID, First: w.First, Interface: w.Interface, Index: m.Index, MAC: m.MAC, Netns: w.Netns, Namespace: w.Namespace, Pod: w.Pod, UID: w.UID,
		Definition: w.Definition, Wire: w.Wire, Gateways: w.Gateways, Client: "weft/" + w.ContainerID + "/" + w.Interface,
	}
	if w.Owner != (network.Owner{}) {
		o.Client, o.Stays = "weft/"+w.Namespace+"/"+w.Owner.String()+"/"+w.Definition, true
	}
	o.Client = bounded(o.Client)
	for _, p := range w.Addresses {
		if p.Addr().Is4() {
			o.Wish = p.Addr()
		}
	}
	config, _ := dhcp.Parse([]byte(w.DHCP), map[string]string{ // the definition has been read before the NIC was made
		"K8S_POD_NAMESPACE": w.Namespace, "K8S_POD_NAME": w.Pod, "K8S_POD_UID": w.UID, "K8S_POD_INFRA_CONTAINER_ID": w.ContainerID,
	})
	o.Provide, o.Request = config.Provide, config.Request
	return o
}

// bounded is a name of a length that servers take.
func bounded(client string) string {
	if len(client) <= 120 {
		return client
	}
	return fmt.Sprintf("weft/%x", sha256.Sum256([]byte(client)))
}

// Needs of a pod's first NIC: an address for each other that gets it by DHCP.
func Needs(*table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	inputs := []state.Input{
		state.On(network.Interfaces, func(_ state.Reader, i network.Interface) []state.Key {
			return []state.Key{table.AttachmentKey(i.ContainerID, i.First)}
		}),
		state.On(lease.Leases, func(_ state.Reader, l lease.Lease) []state.Key {
			return []state.Key{table.AttachmentKey(l.ContainerID, l.First)}
		}),
	}
	return inputs, func(r state.Reader, a table.Attachment) (needs []table.Need) {
		for i := range network.Interfaces.Prefix(r, state.Join(a.ContainerID)) {
			if i.DHCP == "" || i.First != a.Interface {
				continue
			}
			n := table.Need{What: "address of " + i.Title() + " by DHCP", Table: lease.Orders.Name(), Key: table.AttachmentKey(i.ContainerID, i.Interface)}
			if l, ok := lease.Leases.One(r, n.Key); ok && !l.Served && l.Says != "" {
				n.Lacks, n.Advice = i.Title()+": "+l.Says, "the agent keeps asking"
			} else if !ok || !l.Served {
				n.Key = ""
			}
			needs = append(needs, n)
		}
		return needs
	}
}
