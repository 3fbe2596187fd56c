package link

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func routes(t *table.Tables) state.AnyDerivation {
	m := newMemos(t)
	return &state.Derivation[table.Route]{
		Name:  "routes",
		Out:   t.Routes,
		KeyOf: t.Routes.Key,
		Inputs: []state.Input{
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return singles(a) }),
			state.On(t.Nodes, func(r state.Reader, n table.Node) []state.Key {
				if n.Local {
					return podPrefixes(t, r)
				}
				return prefixesOf(n)
			}),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
				return when(matters(c), func(r state.Reader) []state.Key { return podPrefixes(t, r) }, r)
			}),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key {
				if attach.IsHostName(d.Name) {
					var keys []state.Key
					for a := range t.Attachments.By(r, table.ByDevice, state.Join(d.Name)) {
						keys = append(keys, singles(a)...)
					}
					return keys
				}
				return podPrefixes(t, r)
			}),
		},
		Compute: func(r state.Reader, key state.Key) []table.Route {
			p, err := netip.ParsePrefix(key.String())
			if err != nil {
				return nil
			}
			if row, ok := m.toWorkload(r, p); ok {
				return []table.Route{row}
			}
			if row, ok := m.toNode(r, p); ok {
				return []table.Route{row}
			}
			return nil
		},
	}
}

func singles(a table.Attachment) []state.Key {
	if a.Network != 0 {
		return nil // the node's own table is of the pod network
	}
	keys := make([]state.Key, len(a.Addresses))
	for i, x := range a.Addresses {
		keys[i] = state.Join(attach.Single(x))
	}
	return keys
}

func prefixesOf(n table.Node) []state.Key {
	keys := make([]state.Key, len(n.PodCIDRs))
	for i, p := range n.PodCIDRs {
		keys[i] = state.Join(p.Masked())
	}
	return keys
}

func podPrefixes(t *table.Tables, r state.Reader) (keys []state.Key) {
	for n := range t.Nodes.All(r) {
		keys = append(keys, prefixesOf(n)...)
	}
	return keys
}

// toWorkload is the route to an address of this node's workloads, if its device is up.
func (m *memos) toWorkload(r state.Reader, p netip.Prefix) (row table.Route, ok bool) {
	if !p.IsSingleIP() {
		return row, false
	}
	var latest table.Attachment
	for a := range m.t.Attachments.By(r, table.ByAddress, state.Join(p.Addr())) {
		if a.Network == 0 && a.Incarnation > latest.Incarnation {
			latest = a
		}
	}
	if latest.HostName == "" || !m.up(r, latest.HostName) {
		return row, false
	}
	return table.Route{Prefix: p, Device: latest.HostName}, true
}

// toNode is the route to the workloads of another node.
func (m *memos) toNode(r state.Reader, p netip.Prefix) (row table.Route, ok bool) {
	n, owned := m.owner(r, p)
	here, known := m.t.LocalNode(r)
	if !owned || !known || n.Local {
		return row, false
	}
	config := m.config(r)
	if config.Routing == settings.Tunnel {
		return table.Route{Prefix: p, Device: attach.TunnelDevice, Source: sameFamily(here, p)}, m.up(r, attach.TunnelDevice)
	}
	gateway := sameFamily(n, p)
	if !config.DirectRoutes || !gateway.IsValid() {
		return row, false
	}
	device := m.link(r, gateway)
	return table.Route{Prefix: p, Device: device, Gateway: gateway}, device != ""
}

// sameFamily is the first address of a node that is of the family of a prefix; zero if it has none.
func sameFamily(n table.Node, p netip.Prefix) netip.Addr {
	for _, a := range n.Addresses {
		if a.Is4() == p.Addr().Is4() {
			return a
		}
	}
	return netip.Addr{}
}

func (m *memos) up(r state.Reader, device string) bool {
	for d := range m.t.Devices.By(r, table.ByName, state.Join(device)) {
		return d.Up
	}
	return false
}

// link names the device on whose network an address is: the one with the longest prefix around it, the first by index.
func (m *memos) link(r state.Reader, a netip.Addr) (device string) {
	bits := -1
	for _, n := range m.networks(r) {
		if n.prefix.Contains(a) && n.prefix.Bits() > bits {
			device, bits = n.device, n.prefix.Bits()
		}
	}
	return device
}
