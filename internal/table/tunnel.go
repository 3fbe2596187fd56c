package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Tunnel is an overlay device of this node (collect-metadata).
type Tunnel struct {
	Name      string
	Kind      string // vxlan; geneve: for calls of services that go on by DSR
	Port      uint16
	MTU       int
	Underlay6 bool
}

func (Tunnel) Header() []string { return []string{"Name", "Kind", "Port", "MTU"} }

func (t Tunnel) Row() []string {
	return []string{t.Name, t.Kind, fmt.Sprint(t.Port), fmt.Sprint(t.MTU)}
}

var _ = declare(&tables.Tunnels, "tunnels", func(r Tunnel) state.Key { return state.Join(r.Name) })
