package network

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
)

// overlaid reads of the overlay network that a definition names what a NIC in it needs, and gives the definition with the ranges of that.
func (d deriver) overlaid(r state.Reader, i *network.Interface, definition attachment.Definition, q attachment.Request) (attachment.Definition, *refusal) {
	name := definition.Overlay()
	o, there := overlay.Networks.One(r, state.Join(name))
	refuse := func(advice, because string, args ...any) (attachment.Definition, *refusal) {
		return definition, &refusal{lacks: i.Definition + ": " + fmt.Sprintf(because, args...), advice: advice}
	}
	switch {
	case !overlay.Possible(d.t.Config(r).ClusterID):
		return refuse("give the cluster another number", "there are no overlay networks in a cluster with cluster-id 255")
	case !there:
		return refuse("create it, or correct the definition", "network: there is no OverlayNetwork %s", name)
	case o.Lacks != "":
		return refuse("make another one: subnets never change", "OverlayNetwork %s: %s", name, o.Lacks)
	case o.Leaving:
		return refuse("make another one", "OverlayNetwork %s is being deleted", name)
	case o.Number == 0:
		return refuse("weft-operator gives it one: does it run?", "OverlayNetwork %s has no number yet", name)
	case len(q.DefaultRoute) > 0:
		return refuse("take default-route out of the pod's annotation", "nothing leads out of overlay network %s, so it has no default route", name)
	}
	for other := range overlay.Networks.By(r, overlay.ByNumber, state.Join(o.Number)) {
		if other.Name != name {
			return refuse("weft-operator gives one of them another", "OverlayNetworks %s and %s have one number, %d", name, other.Name, o.Number)
		}
	}
	i.Overlay, i.Network, i.Subnets, i.MTU = name, o.Number, o.Subnets, o.MTU
	definition, gaps := definition.In(o)
	return definition, unfit(i.Definition, gaps)
}

// within says what keeps a NIC with its addresses out of its overlay network.
func within(i *network.Interface) *refusal {
	return unfit(i.Definition, attachment.Within(overlay.Network{Name: i.Overlay, Subnets: i.Subnets}, i.Addresses))
}

// in are the addresses of a NIC in an overlay network, with the lengths of its subnets.
func in(a table.Attachment) (list []netip.Prefix) {
	n := overlay.Network{Subnets: a.Overlay.Subnets}
	for _, x := range a.Addresses {
		p := attach.Single(x)
		if subnet := n.SubnetOf(x); subnet.IsValid() {
			p = netip.PrefixFrom(x, subnet.Bits())
		}
		list = append(list, p)
	}
	return list
}

// termsOf are those by which a NIC in an overlay network has its addresses; zero: nothing granted them.
func termsOf(a table.Attachment) (t grant.Terms) {
	_ = json.Unmarshal([]byte(a.Overlay.Terms), &t) // the agent has written it, or it is empty
	return t
}
