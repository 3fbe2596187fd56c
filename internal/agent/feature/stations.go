package feature

import (
	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
)

var stations = Feature{
	Name: "stations", Does: "guards NICs that share an uplink (macvlan), and the uplink",
	Fills:       network.FillsStations,
	Derivations: func(n *Node) []state.AnyDerivation { return network.StationDerivations(n.Tables) },
	Needs:       network.StationNeeds,
	Maps: func(n *Node) ([]Runner, error) {
		stations, inside := network.StationLoops(n.Datapath, n.Root)
		return []Runner{keep(n, stations), keep(n, inside)}, nil
	},
}
