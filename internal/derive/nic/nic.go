// Package nic derives the last steps until a NIC is in service. Each waits for the one before:
//
//	policy set in force -> NIC row in the kernel -> programs on its device
//
// A step waits for its predecessor once: what is in service stays there while a predecessor changes. The node's own
// devices get their programs here too: the overlay device, and each device that holds the node's address or a default
// route.
package nic

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/station"
)

// Derivations keeps NICs and Hooks of a node.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{nics(t), hooks(t)}
}

func nics(t *table.Tables) state.AnyDerivation {
	named := func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{state.Join(a.HostName)} }
	return &state.Derivation[table.NIC]{
		Name:  "nic",
		Out:   t.NICs,
		KeyOf: func(n table.NIC) state.Key { return state.Join(n.Device) },
		Inputs: append([]state.Input{
			state.On(t.Attachments, named),
			state.On(t.PolicySets, func(_ state.Reader, s table.PolicySet) []state.Key {
				return ofHost(table.SetKey(s.Identity, s.NamedPorts))
			}),
			state.On(t.Workloads, func(r state.Reader, w table.Workload) []state.Key { return devicesOfWorkload(t, r, w) }),
			state.On(t.Devices, func(_ state.Reader, d table.Device) []state.Key { return []state.Key{state.Join(d.Name)} }),
			state.On(t.SetStatuses, func(r state.Reader, s table.SetStatus) []state.Key {
				keys := ofHost(s.Set)
				for w := range t.Workloads.By(r, table.BySet, s.Set) {
					keys = append(keys, devicesOfWorkload(t, r, w)...)
				}
				return keys
			}),
		}, memberInputs(t)...),
		Compute: func(r state.Reader, name state.Key) []table.NIC {
			if name == hostNIC {
				return host(t, r)
			}
			for a := range t.Attachments.By(r, table.ByDevice, name) {
				return nicOf(t, r, a)
			}
			return memberOf(t, r, name)
		},
	}
}

func nicOf(t *table.Tables, r state.Reader, a table.Attachment) []table.NIC {
	w, known := t.Workloads.One(r, t.Attachments.Key(a))
	d, exists := device(t, r, a.HostName)
	if !known || !exists || w.Set == "" {
		return nil
	}
	set, enforced := t.SetStatuses.One(r, station.Scope{Network: a.Network}.Set(w.Subject, w.NamedPorts))
	if !enforced {
		return nil
	}
	row := table.NIC{
		Device: d.Name, Ifindex: uint32(d.Index), Incarnation: a.Incarnation, Identity: w.Identity, SetIndex: set.Index,
		Network: a.Network, MAC: a.MAC, HostMAC: a.HostMAC,
	}
	for _, addr := range a.Addresses {
		if addr.Is4() {
			row.IPv4 = addr
		} else {
			row.IPv6 = addr
		}
	}
	return []table.NIC{row}
}

func hooks(t *table.Tables) state.AnyDerivation {
	device := func(_ state.Reader, d table.Device) []state.Key { return []state.Key{state.Join(d.Name)} }
	return &state.Derivation[table.Hook]{
		Name:  "hook",
		Out:   t.Hooks,
		KeyOf: func(h table.Hook) state.Key { return state.Join(h.Device) },
		Inputs: []state.Input{
			state.On(t.Devices, device),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return deviceBelow(t, r, d) }),
			state.On(t.Attachments, func(_ state.Reader, a table.Attachment) []state.Key { return []state.Key{state.Join(a.HostName)} }),
			state.On(t.Tunnels, func(_ state.Reader, n table.Tunnel) []state.Key { return []state.Key{state.Join(n.Name)} }),
			state.On(t.Nodes, func(r state.Reader, n table.Node) []state.Key { return allDevices(t, r, n.Local) }),
			state.On(t.Configs, func(r state.Reader, c table.Config) []state.Key {
				return allDevices(t, r, c.Concern == settings.OfDatapath || c.Concern == settings.OfServices)
			}),
			state.On(status.Statuses, func(r state.Reader, s status.Status) []state.Key { return devicesOfNIC(t, r, s) }),
			state.On(station.Stations, func(_ state.Reader, s station.Station) []state.Key { return []state.Key{state.Join(s.Device)} }),
		},
		Compute: func(r state.Reader, key state.Key) []table.Hook { return hooksOf(t, r, key) },
	}
}

// ofPods are the programs on the device of a pod.
var ofPods = []abi.Hook{abi.HookFromPod, abi.HookToPod}

// hooksOf gives the programs that a device needs.
func hooksOf(t *table.Tables, r state.Reader, name state.Key) []table.Hook {
	var d table.Device
	found := false
	for d = range t.Devices.By(r, table.ByName, name) {
		found = true
	}
	if !found {
		return nil
	}
	hooks := func(programs ...abi.Hook) []table.Hook {
		list := []table.Hook{}
		for _, p := range programs {
			list = append(list, table.Hook{Device: d.Name, Ifindex: d.Index, Program: p.String()})
		}
		return list
	}
	if attach.IsHostName(d.Name) && status.EverRealised(r, t.NICs, state.Join(uint32(d.Index))) { // also once its attachment is gone, until the row of its NIC is
		return hooks(ofPods...)
	}
	for a := range t.Attachments.By(r, table.ByDevice, name) {
		if stays(t, r, a, d) {
			return hooks(ofPods...)
		}
		return nil
	}
	if _, ok := t.Tunnels.One(r, name); ok {
		return hooks(abi.HookFromOverlay, abi.HookToOverlay)
	}
	if !outward(t, r, d) {
		return withFurther(r, d, nil)
	}
	list := hooks(abi.HookFromNet, abi.HookToNet)
	if c := t.Config(r).Outside; Accelerates(c) && !Tagged(t, r, d) {
		list = append(list, table.Hook{Device: d.Name, Ifindex: d.Index, Program: abi.HookXdp.String(), Generic: c.XDP == "testing-only"})
	}
	return withFurther(r, d, list)
}

// stays tells whether the row of an attachment's NIC, which an earlier agent wrote, is there for good although nothing tells any more who that
// is, and all that could has been heard: the sink has refused to remove it.
func stays(t *table.Tables, r state.Reader, a table.Attachment, d table.Device) bool {
	w, _ := t.Workloads.One(r, t.Attachments.Key(a))
	_, there := t.NICStatuses.One(r, state.Join(a.Incarnation))
	s, _ := status.Statuses.One(r, status.KeyOf(t.NICs, state.Join(uint32(d.Index))))
	return w.Set == "" && there && s.Attempts > 0
}

// outward tells whether a device connects the node with others: it holds the node's address, or leads out as the configuration has it.
func outward(t *table.Tables, r state.Reader, d table.Device) bool {
	if t.Config(r).LeadsOut(d.Name, d.Default) {
		return true
	}
	n, _ := t.LocalNode(r)
	return slices.ContainsFunc(d.Addresses, func(p netip.Prefix) bool { return slices.Contains(n.Addresses, p.Addr()) })
}

// Needs of an attachment: its NIC in the kernel, and the programs on its device.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	inputs := []state.Input{state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return attachmentsOn(t, r, d) })}
	return inputs, func(r state.Reader, a table.Attachment) []table.Need {
		n := table.Need{What: "NIC", Table: t.NICs.Name()}
		if d, ok := device(t, r, a.HostName); ok {
			n.Key = state.Join(uint32(d.Index))
		}
		needs := []table.Need{n}
		for _, program := range ofPods {
			needs = append(needs, table.Need{What: "program " + program.String(), Table: t.Hooks.Name(), Key: state.Join(a.HostName, program.String())})
		}
		return needs
	}
}

// device is the device with a name.
func device(t *table.Tables, r state.Reader, name string) (table.Device, bool) {
	for d := range t.Devices.By(r, table.ByName, state.Join(name)) {
		return d, true
	}
	return table.Device{}, false
}

func attachmentsOn(t *table.Tables, r state.Reader, d table.Device) []state.Key {
	var keys []state.Key
	for a := range t.Attachments.By(r, table.ByDevice, state.Join(d.Name)) {
		keys = append(keys, t.Attachments.Key(a))
	}
	return keys
}

func allDevices(t *table.Tables, r state.Reader, all bool) []state.Key {
	if !all {
		return nil
	}
	var keys []state.Key
	for d := range t.Devices.All(r) {
		keys = append(keys, state.Join(d.Name))
	}
	return keys
}

func devicesOfWorkload(t *table.Tables, r state.Reader, w table.Workload) []state.Key {
	if a, ok := t.Attachments.One(r, t.Workloads.Key(w)); ok {
		return []state.Key{state.Join(a.HostName)}
	}
	return nil
}

// devicesOfNIC names the device whose NIC row has a new outcome.
func devicesOfNIC(t *table.Tables, r state.Reader, s status.Status) []state.Key {
	if s.Table != t.NICs.Name() {
		return nil
	}
	if d, ok := t.Devices.One(r, s.Key); ok {
		return []state.Key{state.Join(d.Name)}
	}
	return nil
}
