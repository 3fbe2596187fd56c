// Package station derives which NICs share an uplink and are enforced there, who has a MAC address behind each uplink, and which programs
// stand in workloads' namespaces.
//
// # The world it models
//
//	interfaces-made  c1 net1, macvlan on ens192   ->  Members   c1 net1
//	Members, devices                              ->  Stations  3 "", 3 MAC of ens192, 3 MAC of net1
//	Members, NIC row in the kernel                ->  Insides   the programs of net1
//
// Rows of tables nics, ipcache and hooks follow from Members in the derivations of these.
//
// # Invariants
//
//   - Where policy-networks is primary there are no members, and no uplink is watched.
//   - A NIC's own programs come after its row: before, they would drop all that it sends. Once there they stay while it is a member.
//
// # Example
//
//	for _, d := range station.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package station

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/settings"
	settingsnetwork "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/station"
)

// Derivations keeps Members, Networks, Stations and Insides.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{members(t), networks(), stations(t), insides(t)}
}

// networks are those of members: what is known of others need not be in the kernel.
func networks() state.AnyDerivation {
	return &state.Derivation[station.Network]{
		Name: "member-networks", Out: station.Networks, KeyOf: station.Networks.Key,
		Inputs: []state.Input{state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return []state.Key{state.Join(m.Network)} })},
		Compute: func(r state.Reader, key state.Key) []station.Network {
			wires := map[string]bool{}
			number := uint32(0)
			for m := range station.Members.By(r, station.ByNetwork, key) {
				number, wires[m.Wire] = m.Network, true
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
		for m := range network.Finished.All(r) {
			keys = append(keys, network.Finished.Key(m))
		}
		return keys
	}
	return &state.Derivation[station.Member]{
		Name: "members", Out: station.Members,
		KeyOf: func(m station.Member) state.Key { return station.Members.Key(m) },
		Inputs: []state.Input{
			state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key { return []state.Key{network.Finished.Key(m)} }),
			state.On(t.Devices, func(r state.Reader, d table.Device) (keys []state.Key) {
				for m := range network.Finished.All(r) {
					if link, ok := linkOf(m); ok && (link.Master == d.Name || link.Master == "" && d.Default) {
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
				for m := range network.Finished.All(r) {
					if m.Want.Namespace == n.Name {
						keys = append(keys, network.Finished.Key(m))
					}
				}
				return keys
			}),
			state.On(network.Definitions, func(r state.Reader, d network.Definition) (keys []state.Key) {
				for m := range network.Finished.All(r) {
					if m.Want.Definition == d.Namespace+"/"+d.Name {
						keys = append(keys, network.Finished.Key(m))
					}
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) []station.Member {
			m, ok := network.Finished.One(r, key)
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

// link is what a plugin's configuration says of a device on another.
type link struct {
	Type   string `json:"type"`
	Master string `json:"master"`
	Mode   string `json:"mode"`
}

// linkOf reads the first plugin of what a NIC was made by: it makes the device.
func linkOf(m network.Made) (l link, ok bool) {
	var list struct {
		Plugins []link `json:"plugins"`
	}
	if json.Unmarshal([]byte(m.Want.Config), &list) != nil || len(list.Plugins) == 0 {
		return l, false
	}
	l = list.Plugins[0]
	if l.Mode == "" {
		l.Mode = "bridge" // as the plugin has it
	}
	return l, l.Type == "macvlan"
}

func memberOf(t *table.Tables, r state.Reader, m network.Made, how string) []station.Member {
	l, ok := linkOf(m)
	if !ok || m.MAC == "" {
		return nil
	}
	for d := range t.Devices.All(r) {
		if d.Name != l.Master && (l.Master != "" || !d.Default) {
			continue
		}
		w := m.Want
		out := station.Member{
			ContainerID: w.ContainerID, First: w.First, Interface: w.Interface, Netns: w.Netns, Namespace: w.Namespace, Pod: w.Pod, Definition: w.Definition,
			Wire: w.Wire, Network: station.NetworkOf(w.Wire), Uplink: d.Name, Index: d.Index, Mode: l.Mode, MAC: m.MAC,
			Audit: how == settingsnetwork.Audit,
		}
		for _, p := range m.Addresses {
			out.Addresses = append(out.Addresses, p.Addr().Unmap())
		}
		slices.SortFunc(out.Addresses, netip.Addr.Compare)
		return []station.Member{out}
	}
	return nil
}

func stations(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[station.Station]{
		Name: "stations", Out: station.Stations,
		KeyOf: func(s station.Station) state.Key { return state.Join(s.Device) },
		Inputs: []state.Input{
			state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return []state.Key{state.Join(m.Uplink)} }),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key {
				keys := []state.Key{state.Join(d.Name)}
				if below, ok := t.Devices.One(r, state.Join(uint32(d.On))); ok && d.On != 0 {
					keys = append(keys, state.Join(below.Name))
				}
				return keys
			}),
		},
		Compute: func(r state.Reader, key state.Key) []station.Station { return behind(t, r, key) },
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
		if m.Index == d.Index && !own[m.MAC] {
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
				if _, there := t.NICStatuses.One(r, state.Join(m.Incarnation())); there {
					return []station.Inside{{NIC: m.NIC(), Netns: m.Netns, Interface: m.Interface, MAC: m.MAC, Uplink: m.Index}}
				}
			}
			return nil
		},
	}
}

// Needs of a pod's first NIC: that each further one which shares an uplink is guarded before the pod begins.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	inputs := []state.Input{state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key {
		return []state.Key{table.AttachmentKey(m.ContainerID, m.First)}
	})}
	return inputs, func(r state.Reader, a table.Attachment) (needs []table.Need) {
		for m := range station.Members.Prefix(r, state.Join(a.ContainerID)) {
			if m.First != a.Interface {
				continue
			}
			of := " of NIC " + m.Interface
			needs = append(needs,
				table.Need{What: "policy" + of, Table: t.NICs.Name(), Key: state.Join(m.NIC())},
				table.Need{What: "MAC address" + of, Table: station.Stations.Name(), Key: state.Join(uint32(m.Index), m.MAC)},
				table.Need{What: "program to_uplink" + of, Table: t.Hooks.Name(), Key: state.Join(m.Uplink, "to_uplink")},
				table.Need{What: "program from_uplink" + of, Table: t.Hooks.Name(), Key: state.Join(m.Uplink, "from_uplink")},
				table.Need{What: "programs" + of, Table: station.Insides.Name(), Key: state.Join(m.NIC())},
			)
		}
		return needs
	}
}
