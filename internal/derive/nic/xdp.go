package nic

import (
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Accelerates tells whether the node's devices are to have the program that leads packets of known calls on before tc: calls from outside are translated here, and it is asked for.
func Accelerates(c settings.Outside) bool { return c.Any() && c.XDP != "" && c.XDP != "disabled" }

// Tagged tells whether VLAN devices lie on a device. It has no program of XDP then: that would not see the tag where a driver has
// taken it off, and would take a frame of another link for one of this.
func Tagged(t *table.Tables, r state.Reader, d table.Device) bool {
	for range t.Devices.By(r, table.ByOn, state.Join(uint32(d.Index))) {
		return true
	}
	return false
}

// deviceBelow names what a VLAN device lies on.
func deviceBelow(t *table.Tables, r state.Reader, d table.Device) []state.Key {
	if d.On == 0 {
		return nil
	}
	if below, ok := t.Devices.One(r, state.Join(uint32(d.On))); ok {
		return []state.Key{state.Join(below.Name)}
	}
	return nil
}
