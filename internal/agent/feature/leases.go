package feature

import (
	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
)

var leases = Feature{
	Name: "leases", Does: "keeps the addresses that further NICs have by DHCP",
	Fills:       network.FillsLeases,
	Derivations: func(n *Node) []state.AnyDerivation { return network.LeaseDerivations(n.Tables) },
	Needs:       network.LeaseNeeds,
	Early: func(n *Node) ([]Runner, error) {
		return []Runner{keep(n, n.Networks.LeaseLoop()), {Name: "leases", Run: n.Networks.KeepLeases}}, nil
	},
}
