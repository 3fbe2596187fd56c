package network

import (
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// others are the NICs that Multus has had made, as it says in the pod's annotation when all are there.
func others(t *table.Tables) state.AnyDerivation {
	d := deriver{t}
	return &state.Derivation[network.Other]{
		Name: "interfaces-of-multus", Out: network.Others,
		KeyOf:   func(o network.Other) state.Key { return table.AttachmentKey(o.ContainerID, o.First) },
		Inputs:  d.asked(),
		Compute: d.others,
	}
}

func (d deriver) others(r state.Reader, key state.Key) (list []network.Other) {
	a, ok := d.t.Attachments.One(r, key)
	if !ok || !a.Multus || a.Further.First != "" || a.Leaving {
		return nil
	}
	pod, known := podOf(d.t, r, a)
	if !known || pod.HostNetwork {
		return nil
	}
	seen := map[string]bool{a.Interface: true}
	for own := range d.t.Attachments.Prefix(r, state.Join(a.ContainerID)) {
		seen[own.Interface] = true // in the pod network: it has asked the agent for that
	}
	for n, j := range attachment.Joins(pod.Joined, pod.Namespace) {
		if seen[j.Interface] {
			continue
		}
		seen[j.Interface] = true
		o := network.Other{
			ContainerID: a.ContainerID, First: a.Interface, Interface: j.Interface, Number: uint32(n + 1), Netns: a.Netns,
			Namespace: a.Namespace, Pod: a.Pod, UID: pod.UID, Definition: j.Namespace + "/" + j.Name, Addresses: j.Addresses, MAC: j.MAC,
		}
		if row, there := network.Definitions.One(r, table.ObjectKey(j.Namespace, j.Name)); there {
			definition, _ := attachment.Define(row.Namespace, row.Name, textOf(r, row))
			o.Policy = row.Policy
			if main := definition.Main(); main != nil {
				o.Type = main.Type
			}
			if segment := definition.Segment(); segment != (attachment.Segment{}) {
				o.Wire = segment.String()
			}
			if row.Wire != "" && d.t.Config(r).Networks.Names(row.Namespace) {
				o.Wire = row.Wire
			}
		}
		list = append(list, o)
	}
	return list
}
