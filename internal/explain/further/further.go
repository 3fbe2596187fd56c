// Package further knows the networks beside that of pods for answers about policies: which one a name means, and who has which address there.
//
// # The world it models
//
//	shop/storage, a NetworkAttachmentDefinition, or ens192, a wire   ->  network 20117
//	network 20117, pod shop/web                                      ->  192.168.100.5
//	network 20117, 192.168.100.5                                     ->  pod shop/web
//
// # Invariants
//
//   - An address means nothing without its network. What is at none is the world's.
//
// # Example
//
//	n, err := further.Named(r, t, "shop/storage")
//	addresses := n.Of("shop", "web")
package further

import (
	"fmt"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/policyinput"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

// Network is one as a node knows it.
type Network struct {
	Number uint32
	r      state.Reader
	t      *table.Tables
}

// Named is the network that a definition leads to (namespace/name), an overlay network by its name, or a wire by its. Empty: that of pods.
func Named(r state.Reader, t *table.Tables, name string) (Network, error) {
	n := Network{r: r, t: t}
	if name == "" {
		return n, nil
	}
	number, known := policyinput.NetworkOf(r, t, name)
	if o, there := overlay.Networks.One(r, state.Join(name)); there && !known {
		number, known = o.Number, o.Number != 0
	}
	if !known {
		number = station.NetworkOf(name)
		for d := range network.Definitions.All(r) {
			at, _ := policyinput.Number(r, t, d)
			known = known || at == number
		}
		for range peer.Peers.By(r, peer.ByNetwork, state.Join(number)) {
			known = true
			break
		}
	}
	if !known {
		return n, fmt.Errorf("network: there is no NetworkAttachmentDefinition %s, no OverlayNetwork of that name with a number, and no definition leads to a wire of that name", name)
	}
	n.Number = number
	return n, nil
}

// Of are the addresses that a pod has there.
func (n Network) Of(namespace, pod string) (list []netip.Addr) {
	for m := range station.Members.By(n.r, station.ByNetwork, state.Join(n.Number)) {
		if m.Namespace == namespace && m.Pod == pod {
			list = append(list, m.Addresses...)
		}
	}
	for a := range n.t.Attachments.By(n.r, table.ByPod, table.ObjectKey(namespace, pod)) {
		if a.Network != 0 && a.Network == n.Number {
			list = append(list, a.Addresses...)
		}
	}
	for p := range peer.Peers.By(n.r, table.ByPod, table.ObjectKey(namespace, pod)) {
		if p.Network() == n.Number {
			list = append(list, p.Addresses...)
		}
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// At is the pod that has an address there; false: none is known to.
func (n Network) At(a netip.Addr) (namespace, pod string, found bool) {
	for m := range station.Members.By(n.r, station.ByAddress, state.Join(n.Number, a)) {
		return m.Namespace, m.Pod, true
	}
	for at := range n.t.Attachments.By(n.r, table.ByAddress, state.Join(a)) {
		if at.Network == n.Number {
			return at.Namespace, at.Pod, true
		}
	}
	p, _, ok := peer.Who(n.r, n.t, n.Number, a)
	return p.Namespace, p.Pod, ok
}

// Rules are those that hold there.
func (n Network) Rules() (rules []policy.Rule) {
	for p := range n.t.Policies.All(n.r) {
		rules = append(rules, policyinput.In(n.r, n.t, p.Rules, n.Number)...)
	}
	return rules
}
