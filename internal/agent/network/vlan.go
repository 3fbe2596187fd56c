package network

import (
	derive "weftnet.io/weftnet/internal/derive/vlan"
	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/link/vlan"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/vlan"
)

// VLANDerivations and VLANNeeds are those of VLAN devices that further NICs lie on.
var (
	VLANDerivations = derive.Derivations
	VLANNeeds       = derive.Needs
)

// FillsVLANs is their table.
func FillsVLANs(*table.Tables) []state.AnyTable { return []state.AnyTable{vlan.Devices} }

// VLANLoop makes them, with kernel settings below proc.
func VLANLoop(proc string) (*reconcile.Loop[vlan.Device], error) {
	devices, err := sink.New(proc)
	return &reconcile.Loop[vlan.Device]{Table: vlan.Devices, Sink: devices, MaxBackoff: retry}, err
}
