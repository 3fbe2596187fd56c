package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Device is a network device of the host's namespace.
type Device struct {
	Index     int
	Name      string
	Kind      string // netlink kind: veth, vxlan, bridge, …; empty for hardware
	MAC       string
	MTU       int
	Up        bool
	Master    int
	Addresses []netip.Prefix
	Default   bool // carries a default route
	On        int  // of a VLAN device: index of the one whose frames are tagged for it
}

func (Device) Header() []string {
	return []string{"Index", "Name", "Kind", "MAC", "MTU", "Up", "Addresses", "Default"}
}

func (d Device) Row() []string {
	return []string{fmt.Sprint(d.Index), d.Name, d.Kind, d.MAC, fmt.Sprint(d.MTU), fmt.Sprint(d.Up), column.List(d.Addresses), fmt.Sprint(d.Default)}
}

// Indexes of Devices: name; index of what a VLAN device is on.
const (
	ByName = "name"
	ByOn   = "on"
)

var _ = declare(&tables.Devices, "devices", func(r Device) state.Key { return state.Join(uint32(r.Index)) },
	state.Index[Device]{Name: ByName, Keys: func(r Device) []state.Key { return []state.Key{state.Join(r.Name)} }},
	state.Index[Device]{Name: ByOn, Keys: func(r Device) []state.Key {
		return []state.Key{state.Join(uint32(r.On))} // 0: on none
	}})
