// Package network derives which further NICs the pods of this node are to have, what keeps some of them away, and what the pods' annotations
// are to say of them.
//
// # The world it models
//
// A pod's first NIC, which a CNI ADD has made, is the anchor of all others: what the pod's annotation asks for is wanted in each container
// that is attached for it, until that one's DEL. An ADD is answered when all of it is there:
//
//	first NIC of c1 (prod/web), annotation "storage, vlan-100", definition prod/storage
//	->  Interfaces  c1 net1 prod/storage
//	->  Troubles    c1 net2 "prod/vlan-100 not found; …"
//	->  Needs       c1 eth0 "NIC net1 (prod/storage)", c1 eth0 lacks "prod/vlan-100 not found; …"
//
// A NIC whose addresses are granted before it is made has an order first, and is wanted when its grant is there:
//
//	->  Orders      c1 net1 prod/storage  whereabouts 10.0.200.0/24
//	Grants  c1 net1 10.0.200.10/24  ->  Interfaces  c1 net1 prod/storage  static 10.0.200.10/24
//
// An annotation that changes on a running pod adds and removes NICs: nothing here knows the difference.
//
// # Invariants
//
//   - What has been made stays as it was made while the pod asks for the same: a definition that changes or goes is one for other pods.
//   - A pod that is not known (deleted by force, or not read yet after a restart) keeps what it has, and so does one whose annotation makes
//     no sense any more.
//   - A pod that asks for another network in place of the cluster's gets no other silently: its ADD waits for what cannot be.
//   - Where Multus calls, nothing is wanted: it attaches the same, and says so in the pod's annotation. What stands there is a row of Others.
//   - A definition without a configuration is that of the file of its name on this node.
//   - What was ordered for a NIC stays ordered until that is gone.
//
// # Example
//
//	for _, d := range network.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package network

import (
	"net/netip"
	"slices"
	"strings"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/machine"
	"weftnet.io/weftnet/internal/table/mirror"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
)

// Derivations keeps Interfaces, Troubles, Statuses, Orders, Silences and Others.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{orders(t), interfaces(t), troubles(t), statuses(t), silences(t), others(t)}
}

func interfaces(t *table.Tables) state.AnyDerivation {
	d := deriver{t}
	return &state.Derivation[network.Interface]{
		Name: "interfaces", Out: network.Interfaces, Inputs: d.afterGrants(),
		KeyOf:   func(i network.Interface) state.Key { return table.AttachmentKey(i.ContainerID, i.First) },
		Compute: func(r state.Reader, key state.Key) []network.Interface { want, _ := d.compute(r, key); return want },
	}
}

func troubles(t *table.Tables) state.AnyDerivation {
	d := deriver{t}
	return &state.Derivation[network.Trouble]{
		Name: "interface-troubles", Out: network.Troubles, Inputs: d.afterGrants(),
		KeyOf:   func(i network.Trouble) state.Key { return table.AttachmentKey(i.ContainerID, i.First) },
		Compute: func(r state.Reader, key state.Key) []network.Trouble { _, why := d.compute(r, key); return why },
	}
}

type deriver struct{ t *table.Tables }

// asked are the inputs that say which networks a pod is to be in.
func (d deriver) asked() []state.Input {
	t := d.t
	return []state.Input{
		state.On(t.Attachments, func(r state.Reader, a table.Attachment) []state.Key {
			if a.Further.First != "" {
				return []state.Key{table.AttachmentKey(a.ContainerID, a.Further.First)}
			}
			return []state.Key{t.Attachments.Key(a)}
		}),
		state.On(t.Pods, func(r state.Reader, p table.Pod) []state.Key { return d.ofPod(r, t.Pods.Key(p)) }),
		state.On(network.Definitions, func(r state.Reader, _ network.Definition) []state.Key { return d.asking(r) }),
		state.On(network.Files, func(r state.Reader, _ network.File) []state.Key { return d.asking(r) }),
	}
}

func (d deriver) inputs() []state.Input {
	t := d.t
	return append(append(machine.Inputs(t, d.ofPod), d.asked()...),
		state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key {
			return []state.Key{table.AttachmentKey(m.Want.ContainerID, m.Want.First)}
		}),
		state.On(overlay.Networks, func(r state.Reader, _ overlay.Network) []state.Key { return d.asking(r) }),
		state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
			if c.Concern == settings.OfNetworks || c.Concern == settings.OfIdentity {
				return d.asking(r)
			}
			return nil
		}))
}

// ofPod names the first NICs of a pod.
func (d deriver) ofPod(r state.Reader, pod state.Key) (keys []state.Key) {
	for a := range d.t.Attachments.By(r, table.ByPod, pod) {
		if a.Further.First == "" {
			keys = append(keys, d.t.Attachments.Key(a))
		}
	}
	return keys
}

// asking names the first NICs of all pods that ask for networks: a definition may be near to any of them.
func (d deriver) asking(r state.Reader) (keys []state.Key) {
	for p := range d.t.Pods.All(r) {
		if p.Networks != "" || p.Default != "" {
			keys = append(keys, d.ofPod(r, d.t.Pods.Key(p))...)
		}
	}
	return keys
}

// podOf is the pod that a NIC was made for.
func podOf(t *table.Tables, r state.Reader, a table.Attachment) (table.Pod, bool) {
	p, ok := t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod))
	return p, ok && mirror.Of(p, a.UID)
}

// serves tells whether the further NICs of an attachment are the agent's business.
func serves(a table.Attachment) bool { return a.Further.First == "" && !a.Leaving && !a.Multus }

func (d deriver) compute(r state.Reader, key state.Key) (want []network.Interface, why []network.Trouble) {
	a, ok := d.t.Attachments.One(r, key)
	if !ok || !serves(a) {
		return nil, nil
	}
	made := d.made(r, a)
	pod, known := podOf(d.t, r, a)
	if !known {
		return made, nil
	}
	trouble := network.Trouble{ContainerID: a.ContainerID, First: a.Interface, Namespace: a.Namespace, Pod: a.Pod, UID: pod.UID}
	if definition, lacks, advice, missing := d.standIn(r, pod, a.Interface); lacks != "" {
		one := trouble
		one.Interface, one.Definition, one.Lacks, one.Advice, one.Missing = a.Interface, definition, lacks, advice, missing
		why = append(why, one)
	}
	requests, said, no := asked(r, pod)
	owner := ownerOf(pod.Owner)
	if no != nil {
		trouble.Lacks, trouble.Advice = no.lacks, no.advice
		return made, append(why, trouble)
	}
	for n, q := range requests {
		i := network.Interface{
			ContainerID: a.ContainerID, First: a.Interface, Interface: q.Interface, Number: uint32(n + 1), Netns: a.Netns,
			Namespace: a.Namespace, Pod: a.Pod, UID: pod.UID, Definition: q.Namespace + "/" + q.Name, Request: said[n].Text(), Owner: owner,
		}
		one := trouble
		one.Number, one.Interface, one.Definition = i.Number, i.Interface, i.Definition
		if at := slices.IndexFunc(made, func(m network.Interface) bool { i.Own = m.Own; return i.Same(m) }); at >= 0 {
			want = append(want, made[at])
			continue
		}
		definition, row, no := d.define(r, i.Namespace, q)
		i.Policy = row.Policy
		if no == nil {
			q = kept(r, pod, definition, q)
		}
		waits := false
		if no == nil && definition.Overlay() != "" {
			definition, no = d.overlaid(r, &i, definition, q)
		}
		if no == nil && definition.Granted() {
			i.Terms = definition.Terms(q, pod.Owner)
			definition, q, waits, no = d.granted(r, i, definition, q)
		}
		if no == nil && !waits {
			no = complete(&i, definition, row.Wire, q)
		}
		switch {
		case no != nil:
			one.Lacks, one.Advice, one.Missing = no.lacks, no.advice, no.missing
			why = append(why, one)
		case !waits:
			want = append(want, i)
		}
	}
	return want, why
}

// complaint says what is wrong with an annotation.
func complaint(annotation string, gaps []gap.Gap) string {
	var texts []string
	for _, g := range gaps {
		texts = append(texts, strings.TrimPrefix(g.String(), ": "))
	}
	return "annotation " + annotation + ": " + strings.Join(texts, "; ")
}

// Requests are the networks that a pod asks for.
func Requests(p table.Pod) ([]attachment.Request, []gap.Gap) {
	if p.HostNetwork {
		return nil, nil
	}
	return attachment.Requests(p.Networks, p.Namespace)
}

// made are the NICs that a container has beside its first.
func (d deriver) made(r state.Reader, first table.Attachment) (list []network.Interface) {
	for m := range network.Finished.By(r, network.ByFirst, d.t.Attachments.Key(first)) {
		list = append(list, m.Want)
	}
	for a := range d.t.Attachments.Prefix(r, state.Join(first.ContainerID)) {
		if a.Further.First == first.Interface && !a.Leaving {
			list = append(list, own(a))
		}
	}
	slices.SortFunc(list, func(a, b network.Interface) int { return int(a.Number) - int(b.Number) })
	return list
}

// own is what was wanted of a NIC in the pod network, or in an overlay network, that is there.
func own(a table.Attachment) network.Interface {
	i := network.Interface{
		ContainerID: a.ContainerID, First: a.Further.First, Interface: a.Interface, Number: a.Further.Number, Netns: a.Netns,
		Namespace: a.Namespace, Pod: a.Pod, UID: a.UID, Definition: a.Further.Definition, Request: a.Further.Request,
		Wire: attachment.Segment{Net: attachment.PodNetwork}.String(), Type: attachment.OwnType, Own: true,
	}
	if a.Network != 0 {
		i.Overlay, i.Network, i.Subnets, i.MTU, i.MAC = a.Overlay.Name, a.Network, a.Overlay.Subnets, a.MTU, a.MAC
		i.Wire, i.Addresses, i.Terms = attachment.Segment{Net: i.Overlay}.String(), in(a), termsOf(a)
	}
	return i
}

// refusal is why there is no NIC.
type refusal struct {
	lacks, advice string
	missing       bool // there is no such definition
}

// define reads the definition that a request from a namespace names. Its row has no name of a wire where it may not give one.
func (d deriver) define(r state.Reader, from string, q attachment.Request) (definition attachment.Definition, row network.Definition, no *refusal) {
	name, config := q.Namespace+"/"+q.Name, d.t.Config(r).Networks
	if !config.Reaches(from, q.Namespace) {
		return definition, row, &refusal{name + " lies in another namespace, and network-namespace-isolation is on", "copy it to namespace " + from, false}
	}
	row, there := network.Definitions.One(r, table.ObjectKey(q.Namespace, q.Name))
	if !there {
		lacks, advice := attachment.Missing(r, q, config.Isolation)
		return definition, row, &refusal{lacks, advice, true}
	}
	if !config.Names(row.Namespace) {
		row.Wire = ""
	}
	if no := fileless(r, row); no != nil {
		return definition, row, no
	}
	definition, gaps := attachment.Define(row.Namespace, row.Name, textOf(r, row))
	if len(gaps) == 0 {
		gaps = definition.Unfit()
	}
	return definition, row, unfit(name, gaps)
}

func unfit(definition string, gaps []gap.Gap) *refusal {
	if len(gaps) == 0 {
		return nil
	}
	return &refusal{definition + ": " + gap.Text(gaps), "weft net check -f says the same of files", false}
}

// complete fills in what a definition says of a NIC.
func complete(i *network.Interface, definition attachment.Definition, wire string, q attachment.Request) *refusal {
	delegate, gaps := definition.Delegate(q)
	if len(gaps) > 0 {
		return unfit(i.Definition, gaps)
	}
	i.Wire, i.Type, i.Own, i.Uplink = definition.Segment().String(), definition.Main().Type, definition.Own(), definition.Uplink()
	if wire != "" {
		i.Wire = wire
	}
	i.Addresses, i.Gateways = q.Addresses, q.DefaultRoute
	if q.MAC != nil {
		i.MAC = q.MAC.String()
	}
	if i.Overlay != "" {
		i.Wire, i.Addresses = definition.Segment().String(), delegate.Addresses
		return within(i)
	}
	if !i.Own {
		i.Config, i.Capabilities, i.Addresses, i.DHCP = string(delegate.Config), string(delegate.Capabilities), delegate.Addresses, string(delegate.DHCP)
	}
	return nil
}

// Needs of a pod's first NIC: all others that the pod asks for.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	d := deriver{t}
	inputs := append(machine.Inputs(t, d.ofPod),
		state.On(t.Pods, func(r state.Reader, p table.Pod) []state.Key { return d.ofPod(r, t.Pods.Key(p)) }),
		state.On(network.Troubles, func(_ state.Reader, w network.Trouble) []state.Key {
			return []state.Key{table.AttachmentKey(w.ContainerID, w.First)}
		}),
		state.On(grant.Orders, firstOfOrder),
		state.On(grant.Grants, firstOfGrant),
		state.On(grant.TakenAddresses, firstOfTaken))
	return inputs, func(r state.Reader, a table.Attachment) (needs []table.Need) {
		pod, known := podOf(t, r, a)
		if !known || !serves(a) {
			return nil
		}
		why := map[string]network.Trouble{}
		for w := range network.Troubles.Prefix(r, state.Join(a.ContainerID)) {
			why[w.Interface] = w
		}
		if w, ok := why[a.Interface]; ok {
			needs = append(needs, table.Need{What: cncfv1.DefaultNetworkAnnotation, Lacks: w.Lacks, Advice: w.Advice})
		}
		requests, _, no := asked(r, pod)
		if no != nil {
			return append(needs, table.Need{What: "further NICs", Lacks: no.lacks, Advice: no.advice})
		}
		for _, q := range requests {
			n := table.Need{
				What:  network.Interface{Interface: q.Interface, Definition: q.Namespace + "/" + q.Name}.Title(),
				Table: network.Interfaces.Name(), Key: table.AttachmentKey(a.ContainerID, q.Interface),
			}
			if w, ok := why[q.Interface]; ok {
				n.Lacks, n.Advice = n.What+": "+w.Lacks, w.Advice
			}
			if ordered, ok := waiting(r, n.Key); ok && n.Lacks == "" {
				needs = append(needs, table.Need{What: "addresses of " + n.What, Table: grant.Orders.Name(), Key: ordered})
			}
			needs = append(needs, n)
		}
		return needs
	}
}

// singles are prefixes as addresses.
func singles(list []netip.Prefix) (out []netip.Addr) {
	for _, p := range list {
		out = append(out, p.Addr())
	}
	return out
}
