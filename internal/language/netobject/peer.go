package netobject

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
)

// Peer is a row of Peers.
type Peer = peer.Peer

// Peers has the NICs that nodes have told of.
var Peers = peer.Peers

// PeerRow reads what a node tells of a NIC of a pod.
func PeerRow(o *PodInterface) (peer.Peer, bool) {
	s := o.Spec
	row := peer.Peer{
		NIC: peer.NIC{
			Namespace: o.Namespace, Name: o.Name, Pod: s.Pod, Node: s.Node, Interface: s.Interface, Definition: s.Network, Wire: s.Wire, MAC: s.MAC, Overlay: uint32(max(s.Overlay, 0)),
		},
		UID: string(o.UID), Since: o.CreationTimestamp.Time,
	}
	for _, text := range s.Addresses {
		if a, err := netip.ParseAddr(text); err == nil {
			row.Addresses = append(row.Addresses, a.Unmap().WithZone(""))
		}
	}
	slices.SortFunc(row.Addresses, netip.Addr.Compare)
	row.Addresses = slices.Compact(row.Addresses)
	return row, row.Overlay <= overlay.Last && row.Pod != "" && row.Node != "" && row.Wire != "" && len(row.Addresses) > 0
}
