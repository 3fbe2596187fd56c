package network

import (
	"encoding/json"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/mirror"
	"weftnet.io/weftnet/internal/table/network"
)

// entry is an element of the annotation network-status (Network Plumbing Working Group, "Kubernetes Network Custom Resource Definition
// De-facto Standard", version 1.3, 4.2).
type entry struct {
	Name      string          `json:"name"`
	Interface string          `json:"interface,omitempty"`
	IPs       []netip.Addr    `json:"ips,omitempty"`
	MAC       string          `json:"mac,omitempty"`
	MTU       int             `json:"mtu,omitempty"`
	Default   bool            `json:"default,omitempty"`
	DNS       network.DNS     `json:"dns"`
	Device    json.RawMessage `json:"device-info,omitempty"`
	Gateway   []netip.Addr    `json:"gateway,omitempty"`
}

// ClusterNetwork is the name of the network of first NICs, as in the CNI configuration that agents write.
const ClusterNetwork = "weft"

func statuses(t *table.Tables) state.AnyDerivation {
	pod := func(namespace, name string) []state.Key { return []state.Key{table.ObjectKey(namespace, name)} }
	ofContainer := func(r state.Reader, container, first string) []state.Key {
		a, _ := t.Attachments.One(r, table.AttachmentKey(container, first))
		return pod(a.Namespace, a.Pod)
	}
	return &state.Derivation[network.Status]{
		Name: "network-statuses", Out: network.Statuses, KeyOf: network.Statuses.Key,
		Inputs: []state.Input{
			state.On(t.Pods, func(_ state.Reader, p table.Pod) []state.Key { return []state.Key{t.Pods.Key(p)} }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return pod(a.Namespace, a.Pod) }),
			state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key { return pod(m.Want.Namespace, m.Want.Pod) }),
			state.On(t.Links, func(r state.Reader, l table.Link) []state.Key { return ofContainer(r, l.ContainerID, l.Interface) }),
			state.On(t.Ready, func(r state.Reader, y table.Ready) []state.Key { return ofContainer(r, y.ContainerID, y.Interface) }),
		},
		Compute: func(r state.Reader, key state.Key) []network.Status { return statusOf(t, r, key) },
	}
}

// statusOf is what a pod's annotation says once its first NIC is ready: of the container that was attached last.
func statusOf(t *table.Tables, r state.Reader, key state.Key) []network.Status {
	p, ok := t.Pods.One(r, key)
	if !ok {
		return nil
	}
	var first table.Attachment
	for a := range t.Attachments.By(r, table.ByPod, key) {
		if serves(a) && mirror.Of(p, a.UID) && a.Incarnation > first.Incarnation {
			first = a
		}
	}
	if _, ready := t.Ready.One(r, t.Attachments.Key(first)); !ready {
		return nil
	}
	list := []entry{ours(t, r, first)}
	list[0].Name, list[0].Default = ClusterNetwork, true
	if definition, lacks, _, _ := (deriver{t}).standIn(r, p, first.Interface); definition != "" && lacks == "" {
		list[0].Name = definition
	}
	numbers := map[string]uint32{}
	for a := range t.Attachments.Prefix(r, state.Join(first.ContainerID)) {
		if a.Further.First != first.Interface {
			continue
		}
		if _, ready := t.Ready.One(r, t.Attachments.Key(a)); ready {
			list, numbers[a.Interface] = append(list, ours(t, r, a)), a.Further.Number
		}
	}
	for m := range network.Finished.Prefix(r, state.Join(first.ContainerID)) {
		if m.Want.First != first.Interface {
			continue
		}
		e := entry{Name: m.Want.Definition, Interface: m.Want.Interface, IPs: singles(m.Addresses), MAC: m.MAC, MTU: m.MTU, DNS: m.DNS, Gateway: m.Gateways}
		if m.Device != "" {
			e.Device = json.RawMessage(m.Device)
		}
		for _, g := range m.Want.Gateways {
			if !slices.Contains(e.Gateway, g) {
				e.Gateway = append(e.Gateway, g)
			}
		}
		list, numbers[m.Want.Interface] = append(list, e), m.Want.Number
	}
	if len(list) == 1 && p.Networks == "" && p.Default == "" {
		return nil
	}
	slices.SortStableFunc(list, func(a, b entry) int { return int(numbers[a.Interface]) - int(numbers[b.Interface]) })
	text, err := json.MarshalIndent(list, "", "    ")
	if err != nil {
		return nil // of what a plugin said: it has been read as JSON
	}
	return []network.Status{{Namespace: p.Namespace, Pod: p.Name, UID: p.UID, Text: string(text)}}
}

// ours is a NIC in the pod network.
func ours(t *table.Tables, r state.Reader, a table.Attachment) entry {
	link, _ := t.Links.One(r, state.Join(a.HostName))
	e := entry{Name: a.Further.Definition, Interface: a.Interface, IPs: a.Addresses, MAC: a.MAC, MTU: link.MTU}
	for _, x := range a.Addresses {
		if a.Further.First == "" { // no route of others leads there
			e.Gateway = append(e.Gateway, attach.Gateway(x))
		}
	}
	return e
}
