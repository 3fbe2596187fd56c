package feature

import (
	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
)

var pools = Feature{
	Name: "pools", Does: "says which named pools of addresses this node's pods need",
	Fills:       network.FillsPools,
	Derivations: func(n *Node) []state.AnyDerivation { return network.PoolDerivations(n.Tables) },
}
