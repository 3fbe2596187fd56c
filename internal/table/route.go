package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
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
	return []string{r.Prefix.String(), r.Device, column.Address(r.Gateway), column.Address(r.Source), fmt.Sprint(r.MTU)}
}

var _ = declare(&tables.Routes, "routes", func(r Route) state.Key { return state.Join(r.Prefix) })
