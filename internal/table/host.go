package table

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
)

// Host is a row of the kernel's maps hosts (single addresses) and prefixes: who lives at an address and how to get there.
type Host struct {
	Network  uint32
	Prefix   netip.Prefix
	Identity identity.Number
	Ifindex  uint32 // host side of a local NIC
	Flags    HostFlag
	Tunnel   netip.Addr // underlay address of its node; zero: none
}

func (Host) Header() []string {
	return []string{"Network", "Prefix", "Identity", "Ifindex", "Flags", "Tunnel"}
}

func (h Host) Row() []string {
	return []string{fmt.Sprint(h.Network), h.Prefix.String(), fmt.Sprint(h.Identity), fmt.Sprint(h.Ifindex), h.Flags.String(), address(h.Tunnel)}
}

var _ = declare(&tables.Hosts, "hosts", func(r Host) state.Key { return state.Join(r.Network, r.Prefix) })

// HostFlag says what kind of place an address is; the numbers are those of abi enum host_flag.
type HostFlag uint32

// Values of HostFlag.
const (
	HostLocal   HostFlag = 1
	HostNode    HostFlag = 2
	HostCluster HostFlag = 4
	HostDirect  HostFlag = 8
)

// String lists the set flags.
func (f HostFlag) String() string {
	var text []string
	for i, name := range []string{"local", "node", "cluster", "direct"} {
		if f&(1<<i) != 0 {
			text = append(text, name)
		}
	}
	return strings.Join(text, ",")
}
