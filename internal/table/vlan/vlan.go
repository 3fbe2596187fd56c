// Package vlan has the table of VLAN devices that further NICs lie on, and that a node may not have of itself.
//
// # The world it models
//
// People write ens192.100 as the uplink of a NIC, and mean VLAN 100 of ens192. Where the node has no such device, Weftnet makes one as long
// as a NIC needs it:
//
//	ens192.100  on ens192  tag 100    c1 net1 and c2 net1 lie on it
//
// # Invariants
//
//   - Name, parent and tag follow from each other: the name says it all.
//   - A row stands while a NIC on the device is wanted, or is not yet taken away.
//
// # Example
//
//	d, ok := vlan.Devices.One(r, state.Join("ens192.100"))
package vlan

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Device is a VLAN device that NICs need.
type Device struct {
	Name   string // ens192.100
	Parent string // ens192
	Tag    int    // 1 to 4094
	On     int    // index of the parent; 0: the node has no device of that name
}

func (Device) Header() []string { return []string{"Name", "Parent", "Tag", "On"} }

func (d Device) Row() []string {
	return []string{d.Name, d.Parent, fmt.Sprint(d.Tag), fmt.Sprint(d.On)}
}

// Devices are those of this node.
var Devices = table.Declare("vlan-devices", func(r Device) state.Key { return state.Join(r.Name) },
	state.Index[Device]{Name: ByParent, Keys: func(r Device) []state.Key { return []state.Key{state.Join(r.Parent)} }})

// ByParent is an index of Devices.
const ByParent = "parent"
