// Package vlan derives which VLAN devices further NICs need, and that pods wait for them.
//
// # The world it models
//
//	interfaces       c1 net1 on ens192.100   ->  vlan-devices  ens192.100  on ens192 (3)  tag 100
//	interfaces-made  c2 net1 on ens192.100       needs         c1 eth0     "VLAN device ens192.100"
//
// # Invariants
//
//   - A device is needed until the last NIC on it has been taken away, so it is never removed below one.
//   - A parent that goes and comes back is another one: the row changes, and the device is made anew.
//
// # Example
//
//	for _, d := range vlan.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package vlan

import (
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/vlan"
)

// Derivations keeps Devices.
func Derivations(t *table.Tables) []state.AnyDerivation {
	return []state.AnyDerivation{&state.Derivation[vlan.Device]{
		Name: "vlan-devices", Out: vlan.Devices, KeyOf: vlan.Devices.Key,
		Inputs: []state.Input{
			state.On(network.Interfaces, func(_ state.Reader, i network.Interface) []state.Key { return []state.Key{state.Join(i.Uplink)} }),
			state.On(network.Finished, func(_ state.Reader, m network.Made) []state.Key { return []state.Key{state.Join(m.Want.Uplink)} }),
			state.On(t.Devices, func(r state.Reader, d table.Device) []state.Key { return on(r, d.Name) }),
		},
		Compute: func(r state.Reader, key state.Key) []vlan.Device { return device(t, r, key) },
	}}
}

// on names the uplinks of NICs that are VLANs of a device.
func on(r state.Reader, parent string) (keys []state.Key) {
	of := func(uplink string) {
		if p, _, ok := attachment.VLANDevice(uplink); ok && p == parent {
			keys = append(keys, state.Join(uplink))
		}
	}
	for i := range network.Interfaces.All(r) {
		of(i.Uplink)
	}
	for m := range network.Finished.All(r) {
		of(m.Want.Uplink)
	}
	return keys
}

func device(t *table.Tables, r state.Reader, uplink state.Key) []vlan.Device {
	name := ""
	for i := range network.Interfaces.By(r, network.ByUplink, uplink) {
		name = i.Uplink
	}
	for m := range network.Finished.By(r, network.ByUplink, uplink) {
		name = m.Want.Uplink
	}
	parent, tag, ok := attachment.VLANDevice(name)
	if !ok {
		return nil
	}
	d := vlan.Device{Name: name, Parent: parent, Tag: tag}
	for p := range t.Devices.By(r, table.ByName, state.Join(parent)) {
		d.On = p.Index
	}
	return []vlan.Device{d}
}

// Needs of a pod's first NIC: the VLAN devices that the others lie on.
func Needs(*table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	inputs := []state.Input{state.On(network.Interfaces, func(_ state.Reader, i network.Interface) []state.Key {
		return []state.Key{table.AttachmentKey(i.ContainerID, i.First)}
	})}
	return inputs, func(r state.Reader, a table.Attachment) (needs []table.Need) {
		for i := range network.Interfaces.Prefix(r, state.Join(a.ContainerID)) {
			if _, _, ok := attachment.VLANDevice(i.Uplink); ok && i.First == a.Interface {
				needs = append(needs, table.Need{What: "VLAN device " + i.Uplink + " of NIC " + i.Interface, Table: vlan.Devices.Name(), Key: state.Join(i.Uplink)})
			}
		}
		return needs
	}
}
