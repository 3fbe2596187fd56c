package feature

import (
	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
)

var vlans = Feature{
	Name: "vlans", Does: "makes the VLAN devices that further NICs lie on",
	Fills:       network.FillsVLANs,
	Derivations: func(n *Node) []state.AnyDerivation { return network.VLANDerivations(n.Tables) },
	Needs:       network.VLANNeeds,
	Early: func(n *Node) ([]Runner, error) {
		loop, err := network.VLANLoop(n.Proc)
		if err != nil {
			return nil, err
		}
		return []Runner{keep(n, loop)}, nil
	},
}
