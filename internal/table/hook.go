package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Hook asks for a program on a device.
type Hook struct {
	Device  string
	Ifindex int
	Program string // from_pod, to_pod, from_net, to_net, from_overlay, to_overlay, xdp
	Generic bool   // xdp: run by the kernel, not by the device's driver
	Old     bool   // only as a sink finds it: another agent's program, to be replaced in place
}

func (Hook) Header() []string { return []string{"Device", "Ifindex", "Program"} }

func (h Hook) Row() []string { return []string{h.Device, fmt.Sprint(h.Ifindex), h.Program} }

var _ = declare(&tables.Hooks, "hooks", func(r Hook) state.Key { return state.Join(r.Device, r.Program) })
