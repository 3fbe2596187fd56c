package link

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Derivations keeps Links, Tunnels, Routes and neighbors of a node.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{links(t), tunnels(t), routes(t), neighbors(t)}
}

// Needs of an attachment: its link, and the node's routes to it.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	return nil, func(_ state.Reader, a table.Attachment) []table.Need {
		needs := []table.Need{{What: "link", Table: t.Links.Name(), Key: state.Join(a.HostName)}}
		for _, address := range a.Addresses {
			if a.Network != 0 {
				break // the node is in no such network
			}
			p := attach.Single(address)
			needs = append(needs, table.Need{What: "route " + p.String(), Table: t.Routes.Name(), Key: state.Join(p)})
		}
		return needs
	}
}

func links(t *table.Tables) state.AnyDerivation {
	m := newMemos(t)
	all := func(r state.Reader) (keys []state.Key) {
		for a := range t.Attachments.All(r) {
			keys = append(keys, t.Attachments.Key(a))
		}
		return keys
	}
	return &state.Derivation[table.Link]{
		Name:  "links",
		Out:   t.Links,
		KeyOf: func(l table.Link) state.Key { return table.AttachmentKey(l.ContainerID, l.Interface) },
		Inputs: []state.Input{
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{t.Attachments.Key(a)} }),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key { return when(matters(c), all, r) }),
			state.On(t.Nodes, func(r state.Reader, n table.Node) []state.Key { return when(n.Local, all, r) }),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return when(m.carries(r, d), all, r) }),
		},
		Compute: func(r state.Reader, key state.Key) []table.Link {
			a, ok := t.Attachments.One(r, key)
			if !ok {
				return nil
			}
			l := table.Link{
				HostName: a.HostName, Kind: m.config(r).PodDevice, HostMAC: a.HostMAC, ContainerID: a.ContainerID, Interface: a.Interface, Netns: a.Netns,
				MAC: a.MAC, MTU: a.MTU, Addresses: a.Addresses, Incarnation: a.Incarnation,
				Further: a.Further.First != "", Subnets: a.Overlay.Subnets,
			}
			if a.Network != 0 { // its packets go through the tunnel, whatever the mode
				if most := m.mtu(r, true); l.MTU == 0 || most != 0 && most < l.MTU {
					l.MTU = most
				}
			} else if l.MTU == 0 {
				l.MTU = m.mtu(r, m.config(r).Routing == settings.Tunnel || len(m.config(r).VTEPs) > 0 || m.config(r).Outside.Overlay())
			}
			return []table.Link{l}
		},
	}
}

func tunnels(t *table.Tables) state.AnyDerivation {
	m := newMemos(t)
	only := func(state.Reader) []state.Key {
		return []state.Key{state.Join(attach.TunnelDevice), state.Join(attach.GeneveDevice)}
	}
	return &state.Derivation[table.Tunnel]{
		Name:  "tunnels",
		Out:   t.Tunnels,
		KeyOf: func(n table.Tunnel) state.Key { return state.Join(n.Name) },
		Inputs: []state.Input{
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key { return when(matters(c), only, r) }),
			state.On(t.Nodes, func(r state.Reader, n table.Node) []state.Key { return when(n.Local, only, r) }),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return when(m.carries(r, d), only, r) }),
		},
		Compute: func(r state.Reader, key state.Key) []table.Tunnel {
			n, known := t.LocalNode(r)
			switch {
			case !known:
				return nil
			case key == state.Join(attach.GeneveDevice):
				return geneve(m.config(r), m.mtu(r, true))
			}
			return []table.Tunnel{{ // in native mode for what nodes send that are in tunnel mode still, or already
				Name: attach.TunnelDevice, Kind: "vxlan", Port: m.config(r).TunnelPort, MTU: m.mtu(r, true), Underlay6: n.Underlay().Is6(),
			}}
		},
	}
}

// when gives keys only if a change matters.
func when(so bool, which func(state.Reader) []state.Key, r state.Reader) []state.Key {
	if !so {
		return nil
	}
	return which(r)
}

// matters tells whether devices or routes depend on a part of the configuration.
func matters(c table.Config) bool {
	return c.Concern == settings.OfRouting || c.Concern == settings.OfDatapath || c.Concern == settings.OfServices
}

// mtu is the MTU of workloads, through the tunnel or without; 0 while it is not known.
func (m *memos) mtu(r state.Reader, tunnel bool) int {
	config := m.config(r)
	n, _ := m.t.LocalNode(r)
	device := config.MTU
	if device == 0 {
		device = m.underlay(r, n).MTU
	}
	return attach.MTU(device, tunnel, n.Underlay().Is6())
}

// carries tells whether a device may be the underlay.
func (m *memos) carries(r state.Reader, d table.Device) bool {
	n, _ := m.t.LocalNode(r)
	return d.Default || holds(d, n.Underlay())
}

// underlay is the device that holds the node's first address, else the one with a default route; the first by index.
func (m *memos) underlay(r state.Reader, n table.Node) (found table.Device) {
	for d := range m.t.Devices.All(r) {
		switch {
		case holds(d, n.Underlay()):
			return d
		case d.Default && found.Name == "":
			found = d
		}
	}
	return found
}

func holds(d table.Device, a netip.Addr) bool {
	return slices.ContainsFunc(d.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
}
