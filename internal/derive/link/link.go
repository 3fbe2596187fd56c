// Package link derives what this node needs below its datapath: a link for each attachment, the tunnel device, and routes
// by which the host's stack finds local workloads and those of other nodes.
//
// A route to another node's workloads leads into the tunnel device, with the node's own address as preferred source, or
// in native routing directly to that node. Everything is a function of one attachment, or of one node and the settings.
package link

import (
	"context"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Runner is a derivation of any row type.
type Runner interface {
	Run(ctx context.Context, db *state.DB) error
	Step(db *state.DB) bool
}

// everything is the derivation key of what exists once a node.
var everything = state.Join("node")

// Derivations keeps Links, Tunnels and Routes.
func Derivations(t *table.Tables) []Runner {
	return []Runner{links(t), tunnels(t), routes(t)}
}

func config(t *table.Tables, r state.Reader) settings.Config {
	c, _ := settings.Parse(func(name string) (string, bool) {
		row, ok := t.Settings.One(r, state.Join(name))
		return row.Value, ok
	})
	return c
}

// underlay is the device that carries traffic between nodes and its address there.
func underlay(t *table.Tables, r state.Reader) (table.Device, netip.Addr) {
	for n := range t.Nodes.By(r, table.ByLocal, state.Join(true)) {
		for d := range t.Devices.All(r) {
			if slices.ContainsFunc(d.Addresses, func(p netip.Prefix) bool { return p.Addr() == n.Underlay() }) {
				return d, n.Underlay()
			}
		}
	}
	return table.Device{}, netip.Addr{}
}

func mtu(t *table.Tables, r state.Reader, c settings.Config) int {
	d, addr := underlay(t, r)
	device := d.MTU
	if c.MTU != 0 {
		device = c.MTU
	}
	return attach.MTU(device, c.Routing == settings.Tunnel, addr.Is6())
}

func links(t *table.Tables) Runner {
	return &state.Derivation[table.Link]{
		Name:  "link",
		Out:   t.Links,
		KeyOf: func(l table.Link) state.Key { return table.AttachmentKey(l.ContainerID, l.Interface) },
		Inputs: []state.Input{
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{t.Attachments.Key(a)} }),
		},
		Compute: func(r state.Reader, key state.Key) []table.Link {
			a, ok := t.Attachments.One(r, key)
			if !ok {
				return nil
			}
			return []table.Link{{
				HostName: a.HostName, HostMAC: a.HostMAC, ContainerID: a.ContainerID, Interface: a.Interface, Netns: a.Netns,
				MAC: a.MAC, MTU: a.MTU, Addresses: a.Addresses, Incarnation: a.Incarnation,
			}}
		},
	}
}

func tunnels(t *table.Tables) Runner {
	once := []state.Key{everything}
	return &state.Derivation[table.Tunnel]{
		Name:  "tunnel",
		Out:   t.Tunnels,
		KeyOf: func(table.Tunnel) state.Key { return everything },
		Inputs: []state.Input{
			state.On(t.Settings, func(state.Reader, table.Setting) []state.Key { return once }),
			state.On(t.Nodes, func(_ state.Reader, n table.Node) []state.Key { return ifLocal(n, once) }),
			state.On(t.Devices, func(state.Reader, table.Device) []state.Key { return once }),
		},
		Compute: func(r state.Reader, _ state.Key) []table.Tunnel {
			c := config(t, r)
			size := mtu(t, r, c)
			_, addr := underlay(t, r)
			if c.Routing != settings.Tunnel || size <= 0 || !t.Settings.IsSynced(r) {
				return nil
			}
			return []table.Tunnel{{Name: attach.TunnelDevice, Kind: "vxlan", Port: c.TunnelPort, MTU: size, Underlay6: addr.Is6()}}
		},
	}
}

func ifLocal(n table.Node, keys []state.Key) []state.Key {
	if n.Local {
		return keys
	}
	return nil
}

func routes(t *table.Tables) Runner {
	return &state.Derivation[table.Route]{
		Name:  "route",
		Out:   t.Routes,
		KeyOf: func(r table.Route) state.Key { return state.Join(r.Prefix) },
		Inputs: []state.Input{
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				var keys []state.Key
				for _, x := range a.Addresses {
					keys = append(keys, state.Join(attach.Single(x)))
				}
				return keys
			}),
			// The device of an attachment may come after it, and come again.
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key {
				var keys []state.Key
				for a := range t.Attachments.By(r, table.ByDevice, state.Join(d.Name)) {
					for _, x := range a.Addresses {
						keys = append(keys, state.Join(attach.Single(x)))
					}
				}
				if d.Name == attach.TunnelDevice {
					keys = append(keys, podCIDRs(t, r)...)
				}
				return keys
			}),
			state.On(t.Nodes, func(r state.Reader, n table.Node) []state.Key {
				if n.Local {
					return podCIDRs(t, r)
				}
				var keys []state.Key
				for _, p := range n.PodCIDRs {
					keys = append(keys, state.Join(p))
				}
				return keys
			}),
			state.On(t.Settings, func(r state.Reader, _ table.Setting) []state.Key { return podCIDRs(t, r) }),
		},
		Compute: func(r state.Reader, key state.Key) []table.Route {
			if route, ok := toWorkload(t, r, key); ok {
				return []table.Route{route}
			}
			return toNode(t, r, key)
		},
	}
}

func podCIDRs(t *table.Tables, r state.Reader) []state.Key {
	var keys []state.Key
	for n := range t.Nodes.All(r) {
		for _, p := range n.PodCIDRs {
			keys = append(keys, state.Join(p))
		}
	}
	return keys
}

// toWorkload is the route to a workload of this node, once its device is there.
func toWorkload(t *table.Tables, r state.Reader, key state.Key) (table.Route, bool) {
	prefix, err := netip.ParsePrefix(key.String())
	if err != nil || !prefix.IsSingleIP() {
		return table.Route{}, false
	}
	var owner table.Attachment
	for a := range t.Attachments.By(r, table.ByAddress, state.Join(prefix.Addr())) {
		if a.Network == 0 && a.Incarnation > owner.Incarnation { // the latest of two that claim one address
			owner = a
		}
	}
	for d := range t.Devices.By(r, table.ByName, state.Join(owner.HostName)) {
		if d.Up && owner.HostName != "" {
			return table.Route{Prefix: prefix, Device: owner.HostName}, true
		}
	}
	return table.Route{}, false
}

// toNode is the route to the workloads of another node.
func toNode(t *table.Tables, r state.Reader, key state.Key) []table.Route {
	prefix, err := netip.ParsePrefix(key.String())
	if err != nil {
		return nil
	}
	c := config(t, r)
	for n := range t.Nodes.All(r) {
		if n.Local || !slices.Contains(n.PodCIDRs, prefix) {
			continue
		}
		switch c.Routing {
		case settings.Tunnel:
			for d := range t.Devices.By(r, table.ByName, state.Join(attach.TunnelDevice)) {
				if d.Up {
					return []table.Route{{Prefix: prefix, Device: attach.TunnelDevice, Source: own(t, r, prefix)}}
				}
			}
		case settings.Native:
			if hop := family(n.Addresses, prefix); c.DirectRoutes && hop.IsValid() {
				return []table.Route{{Prefix: prefix, Gateway: hop}}
			}
		}
	}
	return nil
}

// own is this node's address of the family of a prefix.
func own(t *table.Tables, r state.Reader, prefix netip.Prefix) netip.Addr {
	for n := range t.Nodes.By(r, table.ByLocal, state.Join(true)) {
		return family(n.Addresses, prefix)
	}
	return netip.Addr{}
}

func family(list []netip.Addr, like netip.Prefix) netip.Addr {
	for _, a := range list {
		if a.Is4() == like.Addr().Is4() {
			return a
		}
	}
	return netip.Addr{}
}
