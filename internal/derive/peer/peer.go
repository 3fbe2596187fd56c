// Package peer derives what this node tells others of its pods' NICs beside the first, and which addresses of these another pod claims, too.
//
// # The world it models
//
//	interfaces-made  c1 net1 shop/web, macvlan on ens192, 192.168.100.5/24   ->  Published  shop/web-3f9a…  192.168.100.5, ens192
//	Members 192.168.100.5 of shop/web, Peers 192.168.100.5 of test/old on b  ->  Conflicts  shop/web, test/old on node b
//
// # Invariants
//
//   - NICs whose wire ends on their node (bridges, pairs) are not told: on another node a wire of that name is another one. Where the definition of a
//     bridge's NIC gives its wire a name (weftnet.io/network), that wire is one.
//   - Whether policy is enforced at a NIC makes no difference: on another node it may be.
//   - Of a pod with several containers the one that was attached last counts, as for its CiliumEndpoint.
//
// # Example
//
//	for _, d := range peer.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package peer

import (
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/mirror"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

// Derivations keeps Published and Conflicts.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{published(t), conflicts(t)}
}

// shared are the types of NICs that lie on a device of the node which leads to other nodes.
var shared = []string{"macvlan", "ipvlan", "vlan"}

// leadsOut tells whether the wire of a NIC is the same on other nodes: also a bridge, where its definition gives the wire a name.
func leadsOut(w network.Interface) bool {
	bridge := w.Type == "bridge" || w.Type == "cnv-bridge"
	return slices.Contains(shared, w.Type) || bridge && !strings.HasPrefix(w.Wire, "bridge ")
}

func published(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[peer.NIC]{
		Name: "published-interfaces", Out: peer.Published,
		KeyOf: func(n peer.NIC) state.Key { return table.ObjectKey(n.Namespace, n.Pod) },
		Inputs: append(network.OnExisting(func(_ state.Reader, m network.Made) []state.Key {
			return []state.Key{table.ObjectKey(m.Want.Namespace, m.Want.Pod)}
		}), []state.Input{
			state.On(t.Pods, func(_ state.Reader, p table.Pod) []state.Key { return []state.Key{t.Pods.Key(p)} }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				return []state.Key{table.ObjectKey(a.Namespace, a.Pod)}
			}),
			state.On(t.Nodes, func(r state.Reader, n table.Node) (keys []state.Key) {
				if n.Local {
					for m := range network.Existing(r) {
						keys = append(keys, table.ObjectKey(m.Want.Namespace, m.Want.Pod))
					}
					for a := range t.Attachments.All(r) {
						if a.Network != 0 {
							keys = append(keys, table.ObjectKey(a.Namespace, a.Pod))
						}
					}
				}
				return keys
			}),
		}...),
		Compute: func(r state.Reader, pod state.Key) []peer.NIC { return publishedOf(t, r, pod) },
	}
}

func publishedOf(t *table.Tables, r state.Reader, key state.Key) (list []peer.NIC) {
	node, here := t.LocalNode(r)
	pod, known := t.Pods.One(r, key)
	if !here || !known {
		return nil // an object whose owner is gone would go, too
	}
	var first table.Attachment
	for a := range t.Attachments.By(r, table.ByPod, key) {
		if a.Further.First == "" && !a.Leaving && mirror.Of(pod, a.UID) && a.Incarnation >= first.Incarnation {
			first = a
		}
	}
	of := peer.NIC{Namespace: pod.Namespace, Pod: pod.Name, PodUID: pod.UID, Node: node.Name}
	for m := range network.ExistingBy(r, table.ByPod, key) {
		w := m.Want
		if w.ContainerID != first.ContainerID || w.First != first.Interface || !leadsOut(w) || len(m.Addresses) == 0 {
			continue
		}
		n := of
		n.Interface, n.Definition, n.Wire, n.MAC = w.Interface, w.Definition, w.Wire, m.MAC
		for _, p := range m.Addresses {
			n.Addresses = append(n.Addresses, p.Addr())
		}
		list = append(list, named(n))
	}
	for a := range t.Attachments.By(r, table.ByPod, key) {
		if a.ContainerID != first.ContainerID || a.Further.First != first.Interface || a.Network == 0 || len(a.Addresses) == 0 {
			continue
		}
		n := of
		n.Interface, n.Definition, n.MAC, n.Addresses = a.Interface, a.Further.Definition, a.MAC, slices.Clone(a.Addresses)
		n.Wire, n.Overlay = overlay.Network{Name: a.Overlay.Name}.Title(), a.Network
		list = append(list, named(n))
	}
	return list
}

// named gives a NIC the name of its object, and its addresses their order.
func named(n peer.NIC) peer.NIC {
	n.Name = peer.NameOf(n.Pod, n.PodUID, n.Interface)
	for i, a := range n.Addresses {
		n.Addresses[i] = a.Unmap().WithZone("")
	}
	slices.SortFunc(n.Addresses, netip.Addr.Compare)
	n.Addresses = slices.Compact(n.Addresses)
	return n
}

func conflicts(t *table.Tables) state.AnyDerivation {
	at := func(network uint32, addresses []netip.Addr) (keys []state.Key) {
		for _, a := range addresses {
			keys = append(keys, state.Join(network, a))
		}
		return keys
	}
	return &state.Derivation[peer.Conflict]{
		Name: "address-conflicts", Out: peer.Conflicts,
		KeyOf: func(c peer.Conflict) state.Key { return state.Join(c.Network, c.Address) },
		Inputs: []state.Input{
			state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return at(m.Network, m.Addresses) }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				if a.Network == 0 {
					return nil // pod prefixes are the nodes'
				}
				return at(a.Network, a.Addresses)
			}),
			state.On(peer.Peers, func(_ state.Reader, p peer.Peer) []state.Key { return at(p.Network(), p.Addresses) }),
			state.On(t.Endpoints, func(r state.Reader, e table.Endpoint) (keys []state.Key) {
				for p := range peer.Peers.By(r, table.ByPod, t.Endpoints.Key(e)) {
					keys = append(keys, at(p.Network(), p.Addresses)...)
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) (list []peer.Conflict) {
			for m := range station.Members.By(r, station.ByAddress, key) {
				list = append(list, conflictsOf(t, r, key, m)...)
			}
			for a := range t.Attachments.All(r) {
				if a.Network != 0 && slices.Contains(at(a.Network, a.Addresses), key) {
					claims := station.Member{Namespace: a.Namespace, Pod: a.Pod, Interface: a.Interface, Network: a.Network, Addresses: a.Addresses}
					list = append(list, conflictsOf(t, r, key, claims)...)
				}
			}
			return list
		},
	}
}

// conflictsOf lists who claims an address of a NIC of this node, too.
func conflictsOf(t *table.Tables, r state.Reader, key state.Key, m station.Member) (list []peer.Conflict) {
	local, _ := t.LocalNode(r)
	var own *peer.Peer
	for p := range peer.Peers.By(r, peer.ByAddress, key) {
		if p.Node == local.Name && p.Namespace == m.Namespace && p.Pod == m.Pod {
			own = &p
		}
	}
	for p := range peer.Peers.By(r, peer.ByAddress, key) {
		if _, speaks := peer.Speaks(r, t, p); p.Node == local.Name || !speaks {
			continue
		}
		c := peer.Conflict{
			Network: m.Network, Wire: p.Wire, Namespace: m.Namespace, Pod: m.Pod, Interface: m.Interface,
			Other: p.Namespace + "/" + p.Pod + " on node " + p.Node, Holder: own != nil && own.Before(p),
		}
		for _, a := range m.Addresses {
			if state.Join(m.Network, a) == key {
				c.Address = a
			}
		}
		list = append(list, c)
	}
	return list
}
