// Package neighbor has the table of nodes on the links of this one.
package neighbor

import (
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Neighbor is an address of another node on a link of this one. The kernel is to know its link-layer address at all times: a frame
// tells by that alone which node has sent it.
type Neighbor struct {
	Address netip.Addr
	Device  string
}

func (Neighbor) Header() []string { return []string{"Address", "Device"} }

func (n Neighbor) Row() []string { return []string{n.Address.String(), n.Device} }

// Table has the neighbors of a node.
var Table = table.Declare("neighbors", func(n Neighbor) state.Key { return state.Join(n.Address) })
