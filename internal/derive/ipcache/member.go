package ipcache

import (
	"maps"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/station"
)

// ofMembers names the addresses of a container's NICs that share uplinks: they have the identity of its first one.
func ofMembers(r state.Reader, w table.Workload) (out []state.Key) {
	for m := range station.Members.Prefix(r, state.Join(w.ContainerID)) {
		if m.First == w.Interface {
			out = append(out, keys(m.Network, m.Addresses)...)
		}
	}
	return out
}

// ofUplink names the addresses that the node has on a device, in the networks of NICs that share it.
func ofUplink(r state.Reader, dev table.Device) (out []state.Key) {
	for m := range station.Members.By(r, station.ByUplink, state.Join(dev.Name)) {
		out = append(out, keys(m.Network, slices.Collect(maps.Keys(addressesOf(dev))))...)
	}
	return out
}

// ofMember names the addresses of a NIC, and those of the node on its uplink.
func (d *cache) ofMember(r state.Reader, m station.Member) []state.Key {
	out := keys(m.Network, m.Addresses)
	for dev := range d.t.Devices.By(r, table.ByName, state.Join(m.Uplink)) {
		out = append(out, keys(m.Network, slices.Collect(maps.Keys(addressesOf(dev))))...)
	}
	return out
}

// shared is the row of an address in a network of NICs that share an uplink: of one of them, or of the node on that uplink. Of several NICs
// that claim an address the one with the highest number has it. What other nodes have told of their pods comes after these, and whatever else
// there is in such a network is the world's. In an overlay network there is what other nodes have told, and nothing else.
func (d *cache) shared(r state.Reader, network uint32, p netip.Prefix) []table.IPCacheRow {
	var row table.IPCacheRow
	for m := range station.Members.By(r, station.ByAddress, state.Join(network, p.Addr())) {
		w, ok := d.t.Workloads.One(r, table.AttachmentKey(m.ContainerID, m.First))
		if ok && w.Identity != 0 && m.NIC() > row.Ifindex {
			row = table.IPCacheRow{Network: network, Prefix: p, Identity: w.Identity, Ifindex: m.NIC(), Flags: table.IPCacheLocal | table.IPCacheCluster}
		}
	}
	if row.Ifindex != 0 {
		return []table.IPCacheRow{row}
	}
	for m := range station.Members.All(r) {
		if m.Network != network {
			continue
		}
		for dev := range d.t.Devices.By(r, table.ByName, state.Join(m.Uplink)) {
			if addressesOf(dev)[p.Addr()] == own {
				row = thisNode(p)
				row.Network = network
				return []table.IPCacheRow{row}
			}
		}
	}
	if _, here := station.Networks.One(r, state.Join(network)); !here {
		return nil
	}
	_, end, ok := peer.Who(r, d.t, network, p.Addr())
	if !ok {
		return nil
	}
	row = table.IPCacheRow{Network: network, Prefix: p, Identity: end.Identity, Flags: table.IPCacheCluster}
	if network <= overlay.Last { // whatever the mode: no wire leads there
		row.Tunnel = d.nodes.Of(r).underlay(end.Node)
	}
	return []table.IPCacheRow{row}
}

// peerInputs are what rows of peers on other nodes depend on.
func (d *cache) peerInputs() []state.Input {
	return []state.Input{
		state.On(peer.Peers, func(_ state.Reader, p peer.Peer) []state.Key { return keys(p.Network(), p.Addresses) }),
		state.On(d.t.Endpoints, func(r state.Reader, e table.Endpoint) (out []state.Key) {
			for p := range peer.Peers.By(r, table.ByPod, d.t.Endpoints.Key(e)) {
				out = append(out, keys(p.Network(), p.Addresses)...)
			}
			return out
		}),
		state.On(station.Networks, func(r state.Reader, n station.Network) (out []state.Key) {
			for p := range peer.Peers.By(r, peer.ByNetwork, state.Join(n.Number)) {
				out = append(out, keys(p.Network(), p.Addresses)...)
			}
			return out
		}),
		state.On(d.t.Nodes, func(r state.Reader, n table.Node) (out []state.Key) {
			for p := range peer.Peers.All(r) {
				if n.Local || p.Node == n.Name {
					out = append(out, keys(p.Network(), p.Addresses)...)
				}
			}
			return out
		}),
	}
}
