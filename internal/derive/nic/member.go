package nic

import (
	"slices"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/station"
)

// ofUplinks are the programs on a device that NICs of workloads share, ofPorts those on a port of a bridge, the other side of one.
var (
	ofUplinks = []abi.Hook{abi.HookFromUplink, abi.HookToUplink}
	ofPorts   = []abi.Hook{abi.HookFromBridged, abi.HookToBridged}
)

// memberInputs are what rows of NICs that share an uplink depend on, beside what those of all NICs do.
func memberInputs(t *table.Tables) []state.Input {
	ofContainer := func(r state.Reader, w table.Workload) (keys []state.Key) {
		for m := range station.Members.Prefix(r, state.Join(w.ContainerID)) {
			if m.First == w.Interface {
				keys = append(keys, state.Join(m.Device()))
			}
		}
		return keys
	}
	return []state.Input{
		state.On(station.Members, func(_ state.Reader, m station.Member) []state.Key { return []state.Key{state.Join(m.Device())} }),
		state.On(t.Workloads, ofContainer),
		state.On(t.SetStatuses, func(r state.Reader, s table.SetStatus) (keys []state.Key) {
			for w := range t.Workloads.By(r, table.ByIdentity, state.Join(uint32(s.Identity))) {
				keys = append(keys, ofContainer(r, w)...)
				if w.Network != 0 {
					keys = append(keys, devicesOfWorkload(t, r, w)...)
				}
			}
			return keys
		}),
	}
}

// memberOf is the row of a NIC that shares an uplink: it has the identity of its container's first one, and the set of that for its
// network.
func memberOf(t *table.Tables, r state.Reader, device state.Key) []table.NIC {
	for m := range station.Members.By(r, station.ByDevice, device) {
		w, known := t.Workloads.One(r, table.AttachmentKey(m.ContainerID, m.First))
		set, enforced := t.SetStatuses.One(r, m.Scope().Set(w.Subject, w.NamedPorts))
		if !known || w.Set == "" || !enforced {
			return nil
		}
		row := table.NIC{
			Device: m.Device(), Ifindex: m.NIC(), Incarnation: m.Incarnation(), Identity: w.Identity, SetIndex: set.Index,
			Network: m.Network, MAC: m.MAC, HostMAC: noMAC,
		}
		for _, a := range m.Addresses {
			if a.Is4() {
				row.IPv4 = a
			} else {
				row.IPv6 = a
			}
		}
		return []table.NIC{row}
	}
	return nil
}

// withFurther adds the programs of an uplink to those of a device, if NICs share it, or those of the port of one.
func withFurther(r state.Reader, d table.Device, list []table.Hook) []table.Hook {
	list = slices.Clone(list)
	for s := range station.Stations.By(r, station.ByStation, state.Join(d.Name)) {
		programs := ofUplinks
		if s.Port {
			programs = ofPorts
		}
		for _, p := range programs {
			list = append(list, table.Hook{Device: d.Name, Ifindex: d.Index, Program: p.String()})
		}
		break
	}
	return list
}
