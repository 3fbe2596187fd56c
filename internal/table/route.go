package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
)

// Route is a route of this node's own table.
type Route struct {
	Prefix  netip.Prefix
	Device  string
	Gateway netip.Addr // zero: on link
	Source  netip.Addr // preferred source; zero: none
	MTU     int        // 0: the device's
}

func (Route) Header() []string { return []string{"Prefix", "Device", "Gateway", "Source", "MTU"} }

func (r Route) Row() []string {
	return []string{r.Prefix.String(), r.Device, address(r.Gateway), address(r.Source), fmt.Sprint(r.MTU)}
}

var _ = declare(&tables.Routes, "routes", func(r Route) state.Key { return state.Join(r.Prefix) })
