// Package member tells who is at an address of a network that is not that of pods: NICs that share an uplink, and those in overlay networks, here or on
// another node.
//
// # The world it models
//
//	event of NIC 0x4f…  ->  network 20117;  192.168.100.6 there  ->  shop/db, net1, by shop/storage
//
// # Invariants
//
//   - An address says nothing outside its network.
//
// # Example
//
//	o := observe.Options{Further: member.Members{Tables: tables}}
package member

import (
	"net/netip"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/cache"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

// Members are those of this node, and what others have told of theirs.
type Members struct{ Tables *table.Tables }

var _ observe.Further = Members{}

// Network is that of a NIC, by its number; 0: that of pods.
func (n Members) Network(r state.Reader, incarnation uint32) uint32 {
	for m := range station.Members.By(r, station.ByNumber, state.Join(incarnation)) {
		return m.Network
	}
	for a := range n.Tables.Attachments.By(r, table.ByNumber, state.Join(incarnation)) {
		return a.Network
	}
	return 0
}

// At is the NIC at an address.
func (n Members) At(r state.Reader, network uint32, at netip.Addr) observe.End {
	end := n.at(r, network, at)
	end.Overlay = overlay.NameOf(r, network)
	return end
}

func (n Members) at(r state.Reader, network uint32, at netip.Addr) (end observe.End) {
	for m := range station.Members.By(r, station.ByAddress, state.Join(network, at)) {
		end = observe.End{Namespace: m.Namespace, Pod: m.Pod, Incarnation: m.Incarnation(), Place: flow.Place{NIC: m.Interface, Attachment: m.Definition}}
		if w, ok := n.Tables.Workloads.One(r, table.AttachmentKey(m.ContainerID, m.First)); ok {
			end.Labels, end.Identity = w.Labels, w.Identity
		}
	}
	for a := range n.Tables.Attachments.By(r, table.ByAddress, state.Join(at)) {
		if a.Network != network || a.Incarnation < end.Incarnation {
			continue
		}
		end = observe.End{Namespace: a.Namespace, Pod: a.Pod, Incarnation: a.Incarnation, Place: flow.Place{NIC: a.Interface, Attachment: a.Further.Definition}}
		w, _ := n.Tables.Workloads.One(r, n.Tables.Attachments.Key(a))
		end.Labels, end.Identity = w.Labels, w.Identity
	}
	if end.Pod != "" {
		return end
	}
	p, e, ok := peer.Who(r, n.Tables, network, at)
	if !ok {
		return end
	}
	return observe.End{Namespace: p.Namespace, Pod: p.Pod, Identity: e.Identity, Place: flow.Place{NIC: p.Interface, Attachment: p.Definition}}
}

// Rests are the tables that this rests on.
func (n Members) Rests() []cache.Versioned {
	return []cache.Versioned{station.Members, peer.Peers, overlay.Networks, n.Tables.Nodes}
}
