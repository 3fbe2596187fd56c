package network

import (
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

func orders(t *table.Tables) state.AnyDerivation {
	d := deriver{t}
	return &state.Derivation[grant.Order]{
		Name: "address-orders", Out: grant.Orders, Inputs: append(d.inputs(), state.On(grant.TakenAddresses, firstOfTaken)),
		KeyOf:   func(o grant.Order) state.Key { return table.AttachmentKey(o.ContainerID, o.First) },
		Compute: d.orders,
	}
}

func firstOfOrder(_ state.Reader, o grant.Order) []state.Key {
	return []state.Key{table.AttachmentKey(o.ContainerID, o.First)}
}

func firstOfGrant(_ state.Reader, g grant.Grant) []state.Key {
	return []state.Key{table.AttachmentKey(g.ContainerID, g.First)}
}

func firstOfTaken(_ state.Reader, t grant.Taken) []state.Key {
	return []state.Key{table.AttachmentKey(t.ContainerID, t.First)}
}

// afterGrants are the inputs of what waits for grants.
func (d deriver) afterGrants() []state.Input {
	return append(d.inputs(), state.On(grant.Grants, firstOfGrant), state.On(grant.TakenAddresses, firstOfTaken))
}

// orders are what is to be granted to the NICs of a container: to those that plugins have made, until they are gone, and to those that are wanted.
func (d deriver) orders(r state.Reader, key state.Key) (list []grant.Order) {
	there := map[string]bool{}
	for m := range network.Finished.By(r, network.ByFirst, key) {
		i := m.Want
		if there[i.Interface] = true; i.Terms.Type != "" {
			o := order(i)
			o.Has = i.Addresses
			list = append(list, o)
		}
	}
	a, ok := d.t.Attachments.One(r, key)
	if !ok {
		return list
	}
	for nic := range d.t.Attachments.Prefix(r, state.Join(a.ContainerID)) {
		if nic.Further.First != a.Interface || nic.Network == 0 {
			continue
		}
		i := own(nic)
		if there[i.Interface] = true; i.Terms.Type != "" {
			o := order(i)
			o.Has = i.Addresses
			list = append(list, o)
		}
	}
	if !serves(a) {
		return list
	}
	pod, known := podOf(d.t, r, a)
	if !known {
		return list
	}
	requests, _, no := asked(r, pod)
	if no != nil {
		return list
	}
	for _, q := range requests {
		i := network.Interface{
			ContainerID: a.ContainerID, First: a.Interface, Interface: q.Interface, Netns: a.Netns,
			Namespace: a.Namespace, Pod: a.Pod, UID: pod.UID, Definition: q.Namespace + "/" + q.Name,
		}
		definition, _, no := d.define(r, a.Namespace, q)
		if no == nil && definition.Overlay() != "" {
			definition, no = d.overlaid(r, &i, definition, q)
		}
		if there[q.Interface] || no != nil || !definition.Granted() {
			continue
		}
		q = kept(r, pod, definition, q)
		i.Terms = definition.Terms(q, pod.Owner)
		if q.MAC != nil {
			i.MAC = q.MAC.String()
		}
		o := order(i)
		o.Not = grant.TakenOf(r, i.ContainerID, i.Interface)
		list = append(list, o)
	}
	return list
}

// order is what a NIC needs.
func order(i network.Interface) grant.Order {
	return grant.Order{
		ContainerID: i.ContainerID, First: i.First, Interface: i.Interface, Netns: i.Netns,
		Namespace: i.Namespace, Pod: i.Pod, UID: i.UID, Definition: i.Definition, MAC: i.MAC, Terms: i.Terms,
	}
}

// granted puts what a NIC has been granted in the place of what its definition and its pod say of addresses. waits: that is not known yet.
func (d deriver) granted(r state.Reader, i network.Interface, definition attachment.Definition, q attachment.Request) (
	attachment.Definition, attachment.Request, bool, *refusal,
) {
	g, ok := grant.Grants.One(r, network.Interfaces.Key(i))
	switch {
	case !ok || outdated(r, g, i.Terms):
		return definition, q, true, nil
	case g.Why != "":
		return definition, q, false, &refusal{lacks: g.Why, advice: "the agent keeps trying"}
	}
	q.Addresses = nil
	return definition.With(g.Is), q, false, nil
}

// outdated tells whether a grant is no answer to what is ordered now.
func outdated(r state.Reader, g grant.Grant, t grant.Terms) bool {
	return !g.Terms.Equal(t) || grant.Has(g.Is, grant.TakenOf(r, g.ContainerID, g.Interface))
}

// waiting is the order that keeps a NIC away, if one does.
func waiting(r state.Reader, nic state.Key) (state.Key, bool) {
	o, ok := grant.Orders.One(r, nic)
	if !ok {
		return "", false
	}
	g, there := grant.Grants.One(r, nic)
	return nic, !there || g.Why != "" || outdated(r, g, o.Terms)
}
