// Package network says which NICs the pods of a node have: what each is, whether policies hold on it, and what keeps one away.
//
// # The world it models
//
// Tables attachments, interfaces, interfaces-made and interface-troubles each know a part:
//
//	shop/web  eth0  weft          weft3f9a0c1b2d  10.244.1.7      enforced, observed
//	shop/web  net1  shop/storage  macvlan         10.0.200.10/24  neither: policy-networks is primary
//	shop/web  net2  shop/vlan-100                                 shop/vlan-100 not found; …
//
// # Invariants
//
//   - Each NIC that a pod has, or asks for, is there once, in the order of the pod's annotation.
//   - What is not known to be enforced is not called so.
//
// # Example
//
//	for _, n := range network.NICs(snapshot, tables, "shop/web") {
//		fmt.Println(n.Interface, n.Enforced)
//	}
package network

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/lease"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/station"
)

// numbered is a NIC with its place among those of its container.
type numbered struct {
	agentv1.NIC
	number uint32
}

// NICs lists those of a pod, or of all pods of the node.
func NICs(r state.Reader, t *table.Tables, of string) []agentv1.NIC {
	var list []numbered
	seen := map[state.Key]bool{}
	for a := range t.Attachments.All(r) {
		seen[t.Attachments.Key(a)] = true
		list = append(list, attached(r, t, a))
	}
	for m := range network.Finished.All(r) {
		seen[network.Finished.Key(m)] = true
		list = append(list, made(r, t, m))
	}
	for m := range network.Found.All(r) {
		list = append(list, described(r, t, m))
	}
	for o := range network.Others.All(r) {
		if _, there := network.Found.One(r, network.Others.Key(o)); !there {
			list = append(list, unseen(r, o))
		}
	}
	for i := range network.Interfaces.All(r) {
		if !seen[network.Interfaces.Key(i)] {
			n := wanted(i)
			n.Lacks, n.Advice = missing(r, i)
			list = append(list, n)
		}
	}
	for w := range network.Troubles.All(r) {
		list = append(list, numbered{agentv1.NIC{
			Pod: w.Namespace + "/" + w.Pod, Container: w.ContainerID, Interface: w.Interface, Network: w.Definition, Lacks: w.Lacks, Advice: w.Advice,
		}, w.Number})
	}
	slices.SortStableFunc(list, func(a, b numbered) int {
		return cmp.Or(cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container), cmp.Compare(a.number, b.number), cmp.Compare(a.Interface, b.Interface))
	})
	out := []agentv1.NIC{}
	for _, n := range list {
		if of == "" || n.Pod == of {
			out = append(out, n.NIC)
		}
	}
	return out
}

// attached is a NIC in the pod network, or in an overlay network.
func attached(r state.Reader, t *table.Tables, a table.Attachment) numbered {
	link, _ := t.Links.One(r, state.Join(a.HostName))
	_, ready := t.Ready.One(r, t.Attachments.Key(a))
	wire := "the pod network"
	if a.Network != 0 {
		wire = fmt.Sprintf("overlay network %s, number %d", a.Overlay.Name, a.Network)
	}
	n := numbered{agentv1.NIC{
		Pod: a.Namespace + "/" + a.Pod, Container: a.ContainerID, Interface: a.Interface, Network: cmp.Or(a.Further.Definition, "weft"), Type: "cilium-cni",
		Wire: wire, Device: a.HostName, Addresses: texts(a.Addresses), MAC: a.MAC, MTU: link.MTU, Ready: ready, Enforced: ready, Observed: ready,
	}, a.Further.Number}
	if ready {
		n.Where = "at " + a.HostName + ", its side on the node"
		return n
	}
	n.Why = "it is not in place yet"
	for need := range t.Needs.Prefix(r, t.Attachments.Key(a)) {
		if need.Lacks != "" {
			n.Lacks, n.Advice = need.Lacks, need.Advice
			break
		}
		if s, ok := status.Statuses.One(r, need.Status()); !ok || s.Rev == 0 {
			n.Lacks, n.Advice = cmp.Or(s.Err, need.What+": not done yet"), need.Advice
			break
		}
	}
	return n
}

func wanted(i network.Interface) numbered {
	return numbered{agentv1.NIC{
		Pod: i.Namespace + "/" + i.Pod, Container: i.ContainerID, Interface: i.Interface, Network: i.Definition, Type: i.Type, Wire: i.Wire,
		Addresses: texts(i.Addresses), MAC: i.MAC,
	}, i.Number}
}

// unseen is a NIC of Multus that the agent has not found yet.
func unseen(r state.Reader, o network.Other) numbered {
	s, _ := status.Statuses.One(r, status.KeyOf(network.Others, network.Others.Key(o)))
	n := numbered{agentv1.NIC{
		Pod: o.Namespace + "/" + o.Pod, Container: o.ContainerID, Interface: o.Interface, Network: o.Definition, Type: o.Type, Wire: o.Wire,
		Addresses: texts(o.Addresses), MAC: o.MAC, Lacks: cmp.Or(s.Err, "it has not been looked at yet"),
	}, o.Number}
	if s.Err != "" {
		n.Advice = "the agent keeps looking"
	}
	return n
}

// made is a NIC that plugins have made for this agent.
func made(r state.Reader, t *table.Tables, m network.Made) numbered {
	n := described(r, t, m)
	want, ok := network.Interfaces.One(r, network.Finished.Key(m))
	held, _ := lease.Leases.One(r, network.Finished.Key(m))
	if m.Want.DHCP != "" && !held.Address.IsValid() {
		n.Ready, n.Lacks, n.Advice = false, cmp.Or(held.Says, "it has no address yet"), "the agent keeps asking"
	}
	switch {
	case !ok:
		n.Ready, n.Lacks = false, "it is being taken away"
	case !want.Same(m.Want):
		n.Ready, n.Lacks = false, "another one takes its place"
	}
	return n
}

// impaired is what plugins say of a NIC's network, if they could make no other.
func impaired(r state.Reader, m network.Made) string {
	i, _ := network.Impairments.One(r, state.Join(m.Want.Definition))
	return i.Says
}

// described is a NIC that is there, and what holds at it.
func described(r state.Reader, t *table.Tables, m network.Made) numbered {
	n := wanted(m.Want)
	n.Device, n.Addresses, n.MAC, n.MTU, n.Ready = m.HostName, texts(m.Addresses), m.MAC, m.MTU, true
	n.Enforced, n.Why = enforced(r, t, m)
	n.Impaired = impaired(r, m)
	n.Observed = n.Enforced
	member, ok := station.Members.One(r, network.Finished.Key(m))
	switch {
	case ok && n.Enforced && member.Port != "":
		n.Where = "at its port " + member.Port + " of bridge " + member.Uplink
	case ok && n.Enforced:
		n.Where = "at uplink " + member.Uplink + ", and in the pod's namespace"
	}
	if ok && member.Audit && n.Enforced {
		n.Enforced, n.Why = false, "policy-networks is audit here: what its policies would drop passes, and flows tell of it"
	}
	return n
}

// enforced tells whether policies hold at a NIC that plugins have made, and why not.
func enforced(r state.Reader, t *table.Tables, m network.Made) (is bool, why string) {
	member, known := station.Members.One(r, network.Finished.Key(m))
	if !known {
		return false, attachment.Unenforced(m.Want.Type)
	}
	type step struct {
		what  string
		there bool
	}
	steps := []step{{"its policy", status.EverRealised(r, t.NICs, state.Join(member.NIC()))}}
	if member.Port != "" {
		steps = append(steps,
			step{"its port " + member.Port, status.EverRealised(r, station.Stations, state.Join(uint32(member.PortIndex), ""))},
			step{"the program at its port", status.EverRealised(r, t.Hooks, state.Join(member.Port, "to_bridged"))})
	} else {
		steps = append(steps,
			step{"its place at uplink " + member.Uplink, status.EverRealised(r, station.Stations, state.Join(uint32(member.Index), member.MAC))},
			step{"the program in its namespace", status.EverRealised(r, station.Insides, state.Join(member.NIC()))})
	}
	for _, one := range steps {
		if !one.there {
			return false, one.what + " is not in the kernel yet"
		}
	}
	return true, ""
}

// missing says what keeps a NIC away that is wanted.
func missing(r state.Reader, i network.Interface) (lacks, advice string) {
	s, _ := status.Statuses.One(r, status.KeyOf(network.Interfaces, network.Interfaces.Key(i)))
	if s.Err == "" {
		return "it is being made", ""
	}
	return fmt.Sprintf("%s (attempt %d)", s.Err, s.Attempts), "the agent keeps trying"
}

func texts[T netip.Addr | netip.Prefix](list []T) []string {
	var out []string
	for _, one := range list {
		out = append(out, fmt.Sprint(one))
	}
	return out
}
