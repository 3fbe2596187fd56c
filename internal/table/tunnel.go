package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Tunnel is the overlay device of this node (collect-metadata VXLAN).
type Tunnel struct {
	Name      string
	Kind      string // vxlan
	Port      uint16
	MTU       int
	Underlay6 bool
}

func (Tunnel) Header() []string { return []string{"Name", "Kind", "Port", "MTU"} }

func (t Tunnel) Row() []string {
	return []string{t.Name, t.Kind, fmt.Sprint(t.Port), fmt.Sprint(t.MTU)}
}

var _ = declare(&tables.Tunnels, "tunnels", func(r Tunnel) state.Key { return state.Join(r.Name) })
