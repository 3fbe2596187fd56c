package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Programs are those of this node's datapath: what they are told when they are loaded. There is one row, once the agent knows
// what to tell them. A row that changes has them loaded anew and put in the place of the former ones.
type Programs struct {
	Overlay     uint32     // index of the tunnel device; 0: the node goes without
	TunnelPort  uint16     // UDP
	Tunnel      netip.Addr // where this node's tunnel ends
	World4      identity.Number
	World6      identity.Number
	Masquerade4 netip.Addr // this node's address towards the outside; zero: no masquerade
	Masquerade6 netip.Addr
	Loopback4   netip.Addr // source of a pod that reaches itself through a service
	Loopback6   netip.Addr
	Reject      bool // calls of services without backends are answered
	Classic     bool // programs are attached by cls_bpf filters, also where the kernel has tcx
	Sizes       settings.MapSizes
	// What features tell them beside: structs of internal/bpf/abi, by the variable of programs that each is the value of.
	Constants map[string]any
}

// ProgramsKey is the key of the one row.
var ProgramsKey = state.Join("node")

func (Programs) Header() []string {
	return []string{"Overlay", "Port", "Tunnel", "World", "Masquerade", "Reject", "Classic", "Sizes", "Constants"}
}

func (p Programs) Row() []string {
	return []string{
		fmt.Sprint(p.Overlay), fmt.Sprint(p.TunnelPort), column.Address(p.Tunnel), fmt.Sprint(p.World4, ",", p.World6), column.Address(p.Masquerade4) + "," + column.Address(p.Masquerade6),
		fmt.Sprint(p.Reject), fmt.Sprint(p.Classic), fmt.Sprintf("%+v", p.Sizes), fmt.Sprintf("%+v", p.Constants),
	}
}

var _ = declare(&tables.Programs, "programs", func(Programs) state.Key { return ProgramsKey })
