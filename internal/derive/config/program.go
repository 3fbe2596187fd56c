package config

import (
	"net/netip"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Sources of pods that reach themselves through a service: addresses that no other host has (RFC 3927, RFC 4193).
var (
	loopback4 = netip.MustParseAddr("169.254.42.1")
	loopback6 = netip.MustParseAddr("fd57:4546:54::1")
)

// NewPrograms makes the derivation that fills t.Programs, what programs are told when they are loaded: of the configuration, this node's
// addresses, its tunnel device and the constants of features. There is no row before all of these are known.
func NewPrograms(t *table.Tables, sources ...Source) *state.Derivation[table.Programs] {
	only := []state.Key{table.ProgramsKey}
	tunnel := state.Join(attach.TunnelDevice)
	when := func(so bool) []state.Key {
		if so {
			return only
		}
		return nil
	}
	inputs, constants := join(t, sources)
	return &state.Derivation[table.Programs]{
		Name:  "programs",
		Out:   t.Programs,
		KeyOf: func(table.Programs) state.Key { return table.ProgramsKey },
		Inputs: append(inputs,
			state.On(t.Configs, func(state.Reader, table.Config) []state.Key { return only }),
			state.On(t.Nodes, func(_ state.Reader, n table.Node) []state.Key { return when(n.Local) }),
			state.On(t.Devices, func(_ state.Reader, d table.Device) []state.Key { return when(d.Name == attach.TunnelDevice) }),
			state.On(status.Statuses, func(_ state.Reader, s status.Status) []state.Key {
				return when(s.Table == t.Tunnels.Name() && s.Key == tunnel)
			}),
		),
		Compute: func(r state.Reader, _ state.Key) []table.Programs {
			c := t.Config(r)
			overlay, known := overlay(r, t, c.Routing)
			n, _ := t.LocalNode(r)
			if !known || len(n.Addresses) == 0 {
				return nil
			}
			p := programs(c, n, overlay)
			if p.Constants, known = constants(r); known {
				return []table.Programs{p}
			}
			return nil
		},
	}
}

// overlay is the ifindex of the tunnel device. A node in native mode has one, too, for packets of nodes in tunnel mode; if it cannot be
// made there, the node goes without it: 0.
func overlay(r state.Reader, t *table.Tables, mode settings.RoutingMode) (index uint32, known bool) {
	s, _ := status.Statuses.One(r, status.KeyOf(t.Tunnels, state.Join(attach.TunnelDevice)))
	if s.Err != "" && mode == settings.Native {
		return 0, true
	}
	if !s.Done {
		return 0, false
	}
	for d := range t.Devices.By(r, table.ByName, state.Join(attach.TunnelDevice)) {
		return uint32(d.Index), true
	}
	return 0, false
}

func programs(c settings.Config, n table.Node, overlay uint32) table.Programs {
	p := table.Programs{
		Overlay: overlay, TunnelPort: c.TunnelPort, Tunnel: n.Underlay(), World4: identity.World, World6: identity.World,
		Loopback4: loopback4, Loopback6: loopback6, Reject: c.Reject, Classic: c.Classic, Sizes: c.Maps,
	}
	if c.IPv4 && c.IPv6 {
		p.World4, p.World6 = identity.WorldIPv4, identity.WorldIPv6
	}
	for _, addr := range n.Addresses {
		if addr.Is4() && c.MasqueradeIPv4 && !p.Masquerade4.IsValid() {
			p.Masquerade4 = addr
		}
		if addr.Is6() && c.MasqueradeIPv6 && !p.Masquerade6.IsValid() {
			p.Masquerade6 = addr
		}
	}
	return p
}
