// Package station derives at which further NICs policy is enforced, who has a MAC address behind each uplink, whose each port of a bridge is, and
// which programs stand in workloads' namespaces.
//
// # The world it models
//
//	interfaces-made  c1 net1, macvlan on ens192   ->  Members   c1 net1
//	Members, devices                              ->  Stations  3 "", 3 MAC of ens192, 3 MAC of net1
//	Members, NIC row in the kernel                ->  Insides   the programs of net1
//	interfaces-made  c2 net1, bridge br0, veth3f  ->  Members   c2 net1  ->  Stations  7 ""  of net1, a port
//
// Rows of tables nics, ipcache and hooks follow from Members in the derivations of these.
//
// # Invariants
//
//   - Where policy-networks is primary there are no members, and no uplink is watched.
//   - A NIC's own programs, and the watch of its port, come after its row: before, they would drop all that it sends. Once there they stay while
//     it is a member.
//   - A bridge is no uplink: what its NICs send and get passes their ports.
//
// # Example
//
//	for _, d := range station.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package station

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/station"
)

// Derivations keeps Members, Networks, Stations and Insides.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{members(t), networks(t), stations(t), insides(t)}
}

// networks are those of members, and overlay networks with NICs of this node: what is known of others need not be in the kernel.
func networks(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[station.Network]{
		Name: "member-networks", Out: station.Networks, KeyOf: station.Networks.Key,
		Inputs: []state.Input{
			state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return []state.Key{state.Join(m.Network)} }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key {
				if a.Network == 0 {
					return nil
				}
				return []state.Key{state.Join(a.Network)}
			}),
		},
		Compute: func(r state.Reader, key state.Key) []station.Network {
			wires := map[string]bool{}
			number := uint32(0)
			for m := range station.Members.By(r, station.ByNetwork, key) {
				number, wires[m.Wire] = m.Network, true
			}
			for a := range t.Attachments.All(r) {
				if a.Network != 0 && state.Join(a.Network) == key {
					number, wires[overlay.Network{Name: a.Overlay.Name}.Title()] = a.Network, true
				}
			}
			if number == 0 {
				return nil
			}
			return []station.Network{{Number: number, Wire: strings.Join(slices.Sorted(maps.Keys(wires)), ", ")}}
		},
	}
}

func members(t *table.Tables) state.AnyDerivation {
	all := func(r state.Reader) (keys []state.Key) {
		for m := range network.Existing(r) {
			keys = append(keys, network.Finished.Key(m))
		}
		return keys
	}
	return &state.Derivation[station.Member]{
		Name: "members", Out: station.Members,
		KeyOf: func(m station.Member) state.Key { return station.Members.Key(m) },
		Inputs: append(network.OnExisting(func(_ state.Reader, m network.Made) []state.Key { return []state.Key{network.Finished.Key(m)} }), []state.Input{
			state.On(t.Devices, func(r state.Reader, d table.Device) (keys []state.Key) {
				for m := range network.Existing(r) {
					if link, ok := linkOf(m); ok && (link.lies(d) || m.HostName == d.Name) {
						keys = append(keys, network.Finished.Key(m))
					}
				}
				return keys
			}),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
				if c.Concern != settings.OfNetworks {
					return nil
				}
				return all(r)
			}),
			state.On(t.Namespaces, func(r state.Reader, n table.Namespace) (keys []state.Key) {
				for m := range network.Existing(r) {
					if m.Want.Namespace == n.Name {
						keys = append(keys, network.Finished.Key(m))
					}
				}
				return keys
			}),
			state.On(network.Definitions, func(r state.Reader, d network.Definition) (keys []state.Key) {
				for m := range network.Existing(r) {
					if m.Want.Definition == d.Namespace+"/"+d.Name {
						keys = append(keys, network.Finished.Key(m))
					}
				}
				return keys
			}),
		}...),
		Compute: func(r state.Reader, key state.Key) []station.Member {
			m, ok := network.ExistingOne(r, key)
			if !ok {
				return nil
			}
			how := HowAt(t, r, m.Want)
			if how == settingsnetwork.Primary {
				return nil
			}
			return memberOf(t, r, m, how)
		},
	}
}

// HowAt says how policy is enforced at a NIC: what its definition says, as far as that may, else its pod's namespace, else the configuration. A definition that is
// gone says what it did when the NIC was made: to delete one opens nothing.
func HowAt(t *table.Tables, r state.Reader, i network.Interface) string {
	namespace, name, _ := strings.Cut(i.Definition, "/")
	d, there := network.Definitions.One(r, table.ObjectKey(namespace, name))
	if !there {
		d.Policy = i.Policy
	}
	n, _ := t.Namespaces.One(r, state.Join(i.Namespace))
	return t.Config(r).Networks.At(namespace, d.Policy, n.NICs)
}

// link is what a plugin's configuration says of a device on another, or of a port of a bridge.
type link struct {
	Type   string            `json:"type"`
	Master string            `json:"master"`
	Mode   string            `json:"mode"`
	Inside bool              `json:"linkInContainer"`
	Bridge string            `json:"bridge"`
	Trunk  []json.RawMessage `json:"vlanTrunk"`
	Guard  bool              `json:"weftnet.io/mac-guard"` // attachment.MACGuard
}

// linkOf reads the first plugin of what a NIC was made by: it makes the device.
func linkOf(m network.Made) (l link, ok bool) { return read(m.Want.Config) }

func read(config string) (l link, ok bool) {
	var list struct {
		Plugins []link `json:"plugins"`
	}
	if json.Unmarshal([]byte(config), &list) != nil || len(list.Plugins) == 0 {
		return l, false
	}
	l = list.Plugins[0]
	l.Mode, l.Bridge = cmp.Or(l.Mode, "bridge"), cmp.Or(l.Bridge, attachment.DefaultBridge) // as the plugins have it
	return l, attachment.Enforceable(l.Type) && !l.Inside
}

func (l link) bridged() bool { return l.Type == "bridge" }

// lies tells whether a device of the node is the one that NICs share, or the bridge that they are ports of.
func (l link) lies(on table.Device) bool {
	if l.bridged() {
		return on.Name == l.Bridge
	}
	return on.Name == l.Master || l.Master == "" && on.Default
}

func memberOf(t *table.Tables, r state.Reader, m network.Made, how string) []station.Member {
	l, ok := linkOf(m)
	if !ok || m.MAC == "" {
		return nil
	}
	w := m.Want
	out := station.Member{
		ContainerID: w.ContainerID, First: w.First, Interface: w.Interface, Netns: w.Netns, Namespace: w.Namespace, Pod: w.Pod, Definition: w.Definition,
		Wire: w.Wire, Network: station.NetworkOf(w.Wire), MAC: m.MAC, Audit: how == settingsnetwork.Audit,
	}
	if l.bridged() {
		port, there := portOf(t, r, m)
		if !there {
			return nil
		}
		out.Port, out.PortIndex, out.Trunk = port.Name, port.Index, len(l.Trunk) > 0
	} else {
		out.Mode = l.Mode
	}
	for _, p := range m.Addresses {
		out.Addresses = append(out.Addresses, p.Addr().Unmap())
	}
	slices.SortFunc(out.Addresses, netip.Addr.Compare)
	for d := range t.Devices.All(r) {
		if l.lies(d) {
			out.Uplink, out.Index = d.Name, d.Index
			return []station.Member{out}
		}
	}
	return nil
}

// portOf is the side of a NIC on the node.
func portOf(t *table.Tables, r state.Reader, m network.Made) (d table.Device, there bool) {
	if m.HostName == "" {
		return d, false
	}
	for d := range t.Devices.By(r, table.ByName, state.Join(m.HostName)) {
		return d, true
	}
	return d, false
}

func stations(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[station.Station]{
		Name: "stations", Out: station.Stations,
		KeyOf: func(s station.Station) state.Key { return state.Join(s.Device) },
		Inputs: append(network.OnExisting(func(_ state.Reader, m network.Made) []state.Key { return []state.Key{state.Join(m.HostName)} }), []state.Input{
			state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key {
				return []state.Key{state.Join(m.Uplink), state.Join(m.Port)}
			}),
			state.On(t.NICStatuses, func(r state.Reader, s table.NICStatus) (keys []state.Key) {
				for m := range station.Members.By(r, station.ByNumber, state.Join(s.Incarnation)) {
					keys = append(keys, state.Join(m.Port))
				}
				return keys
			}),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key {
				keys := []state.Key{state.Join(d.Name)}
				if below, ok := t.Devices.One(r, state.Join(uint32(d.On))); ok && d.On != 0 {
					keys = append(keys, state.Join(below.Name))
				}
				return keys
			}),
		}...),
		Compute: func(r state.Reader, key state.Key) []station.Station {
			return append(behind(t, r, key), at(t, r, key)...)
		},
	}
}

// behind lists who has a MAC address behind an uplink: the node has those of the device, and of devices that lie on it in the node's own
// namespace, with what lies on these: their frames pass the uplink with a VLAN's tag, and are judged at the VLAN device.
func behind(t *table.Tables, r state.Reader, uplink state.Key) (list []station.Station) {
	var d table.Device
	for d = range t.Devices.By(r, table.ByName, uplink) {
	}
	own := map[string]bool{}
	for m := range station.Members.By(r, station.ByUplink, uplink) {
		if m.Index == d.Index && m.Port == "" && !own[m.MAC] {
			own[m.MAC] = true
			list = append(list, station.Station{Device: d.Name, Uplink: d.Index, MAC: m.MAC, NIC: m.NIC(), Apart: m.Apart(), Audit: m.Audit})
		}
	}
	if len(list) == 0 {
		return nil
	}
	audit := !slices.ContainsFunc(list, func(s station.Station) bool { return !s.Audit })
	node := func(mac string) {
		if mac == "" && own[""] || mac != "" && own[mac] {
			return
		}
		own[mac] = true
		list = append(list, station.Station{Device: d.Name, Uplink: d.Index, MAC: mac, Audit: audit && mac == ""})
	}
	node("")
	if d.MAC != "" {
		node(d.MAC)
	}
	for upper := range t.Devices.By(r, table.ByOn, state.Join(uint32(d.Index))) {
		if upper.MAC != "" {
			node(upper.MAC)
		}
		for m := range station.Members.By(r, station.ByUplink, state.Join(upper.Name)) {
			node(m.MAC)
		}
	}
	return list
}

// at is whose a port is: of a member once its row is in the kernel; of another NIC whose definition has macspoofchk its MAC address is looked at.
func at(t *table.Tables, r state.Reader, port state.Key) []station.Station {
	for m := range station.Members.By(r, station.ByPort, port) {
		if _, there := t.NICStatuses.One(r, state.Join(m.Incarnation())); there && m.Port != "" {
			return []station.Station{{Device: m.Port, Uplink: m.PortIndex, NIC: m.NIC(), Port: true, Trunk: m.Trunk, Audit: m.Audit}}
		}
	}
	for m := range network.ExistingBy(r, network.ByHost, port) {
		d, there := portOf(t, r, m)
		if l, ok := linkOf(m); there && ok && l.bridged() && l.Guard && m.MAC != "" {
			return []station.Station{{Device: d.Name, Uplink: d.Index, Port: true}, {Device: d.Name, Uplink: d.Index, MAC: m.MAC, Port: true}}
		}
	}
	return nil
}

// insides names the NICs whose rows are in the kernel, those of an earlier agent among them: what these have is replaced in place.
func insides(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[station.Inside]{
		Name: "inside-programs", Out: station.Insides,
		KeyOf: func(i station.Inside) state.Key { return state.Join(i.NIC) },
		Inputs: []state.Input{
			state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return []state.Key{state.Join(m.NIC())} }),
			state.On(t.NICStatuses, func(_ state.Reader, s table.NICStatus) []state.Key {
				return []state.Key{state.Join(station.KeyOf(s.Incarnation))}
			}),
		},
		Compute: func(r state.Reader, key state.Key) []station.Inside {
			for m := range station.Members.By(r, station.ByNIC, key) {
				if m.Port != "" {
					continue
				}
				if _, there := t.NICStatuses.One(r, state.Join(m.Incarnation())); there {
					return []station.Inside{{NIC: m.NIC(), Netns: m.Netns, Interface: m.Interface, MAC: m.MAC, Uplink: m.Index}}
				}
			}
			return nil
		},
	}
}

// Needs of a pod's first NIC: that each further one which is enforced, or has macspoofchk, is guarded before the pod begins.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	inputs := append(network.OnExisting(func(_ state.Reader, m network.Made) []state.Key {
		return []state.Key{table.AttachmentKey(m.Want.ContainerID, m.Want.First)}
	}), []state.Input{
		state.On(network.Interfaces, func(_ state.Reader, i network.Interface) []state.Key {
			return []state.Key{table.AttachmentKey(i.ContainerID, i.First)}
		}),
		state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key {
			return []state.Key{table.AttachmentKey(m.ContainerID, m.First)}
		}),
		state.On(t.Devices, func(r state.Reader, d table.Device) (keys []state.Key) {
			for m := range network.ExistingBy(r, network.ByHost, state.Join(d.Name)) {
				keys = append(keys, table.AttachmentKey(m.Want.ContainerID, m.Want.First))
			}
			return keys
		}),
	}...)
	return inputs, func(r state.Reader, a table.Attachment) (needs []table.Need) {
		for i := range network.Interfaces.Prefix(r, state.Join(a.ContainerID)) { // also of what is not there yet
			if _, ok := read(i.Config); ok && i.First == a.Interface && HowAt(t, r, i) != settingsnetwork.Primary {
				m := station.Member{ContainerID: i.ContainerID, Interface: i.Interface}
				needs = append(needs, table.Need{What: "policy of NIC " + i.Interface, Table: t.NICs.Name(), Key: state.Join(m.NIC())})
			}
		}
		for m := range station.Members.Prefix(r, state.Join(a.ContainerID)) {
			if m.First != a.Interface {
				continue
			}
			of := " of NIC " + m.Interface
			if m.Port != "" {
				needs = append(needs, atPort(t, of, m.Port, m.PortIndex)...)
				continue
			}
			needs = append(needs,
				table.Need{What: "MAC address" + of, Table: station.Stations.Name(), Key: state.Join(uint32(m.Index), m.MAC)},
				table.Need{What: "program to_uplink" + of, Table: t.Hooks.Name(), Key: state.Join(m.Uplink, "to_uplink")},
				table.Need{What: "program from_uplink" + of, Table: t.Hooks.Name(), Key: state.Join(m.Uplink, "from_uplink")},
				table.Need{What: "programs" + of, Table: station.Insides.Name(), Key: state.Join(m.NIC())},
			)
		}
		for made := range network.ExistingOf(r, a.ContainerID) {
			d, there := portOf(t, r, made)
			if l, ok := linkOf(made); there && ok && l.bridged() && l.Guard && made.Want.First == a.Interface {
				needs = append(needs, atPort(t, " of NIC "+made.Want.Interface, d.Name, d.Index)...)
			}
		}
		return needs
	}
}

// atPort is what a NIC with a port needs there.
func atPort(t *table.Tables, of, name string, index int) []table.Need {
	return []table.Need{
		{What: "port" + of, Table: station.Stations.Name(), Key: state.Join(uint32(index), "")},
		{What: "program from_bridged" + of, Table: t.Hooks.Name(), Key: state.Join(name, "from_bridged")},
		{What: "program to_bridged" + of, Table: t.Hooks.Name(), Key: state.Join(name, "to_bridged")},
	}
}
