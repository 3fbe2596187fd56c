package table

import (
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// IPCacheRow is who lives at an address or prefix and how to get there. The kernel has a map of single addresses, and one of prefixes.
type IPCacheRow struct {
	Network  uint32
	Prefix   netip.Prefix
	Identity identity.Number
	Ifindex  uint32 // host side of a local NIC
	Flags    IPCacheFlag
	Tunnel   netip.Addr   // underlay address of its node, or of the VTEP that it lies behind; zero: none
	MAC      settings.MAC // of that VTEP; zero: it is none
}

func (IPCacheRow) Header() []string {
	return []string{"Network", "Prefix", "Identity", "Ifindex", "Flags", "Tunnel"}
}

func (e IPCacheRow) Row() []string {
	return []string{fmt.Sprint(e.Network), e.Prefix.String(), fmt.Sprint(e.Identity), fmt.Sprint(e.Ifindex), e.Flags.String(), e.through()}
}

// through is where the tunnel to it ends.
func (e IPCacheRow) through() string {
	if e.MAC == (settings.MAC{}) {
		return column.Address(e.Tunnel)
	}
	return column.Address(e.Tunnel) + "," + e.MAC.String()
}

var _ = declare(&tables.IPCache, "ipcache", func(r IPCacheRow) state.Key { return state.Join(r.Network, r.Prefix) })

// IPCacheFlag says what kind of place an address is; the numbers are those of the ABI.
type IPCacheFlag uint32

// Values of IPCacheFlag.
const (
	IPCacheLocal    IPCacheFlag = 1
	IPCacheNode     IPCacheFlag = 2
	IPCacheCluster  IPCacheFlag = 4
	IPCacheDirect   IPCacheFlag = 8
	IPCacheVTEP     IPCacheFlag = 16
	IPCachePortless IPCacheFlag = 32
)

// String lists the set flags.
func (f IPCacheFlag) String() string {
	var text []string
	for i, name := range []string{"local", "node", "cluster", "direct", "vtep", "portless"} {
		if f&(1<<i) != 0 {
			text = append(text, name)
		}
	}
	return strings.Join(text, ",")
}
