package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// NIC is a row of the kernel's map nics.
type NIC struct {
	Device      string // name of the host side; the kernel's map does not hold it
	Ifindex     uint32
	Incarnation uint32
	Identity    identity.Number
	SetIndex    uint32 // of its policy set
	Network     uint32
	IPv4        netip.Addr
	IPv6        netip.Addr
	MAC         string
	HostMAC     string
}

func (NIC) Header() []string {
	return []string{"Device", "Ifindex", "Incarnation", "Identity", "Set", "IPv4", "IPv6", "MAC"}
}

func (n NIC) Row() []string {
	return []string{n.Device, fmt.Sprint(n.Ifindex), fmt.Sprint(n.Incarnation), fmt.Sprint(n.Identity), fmt.Sprint(n.SetIndex), column.Address(n.IPv4), column.Address(n.IPv6), n.MAC}
}

var _ = declare(&tables.NICs, "nics", func(r NIC) state.Key { return state.Join(r.Ifindex) })
