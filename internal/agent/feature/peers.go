package feature

import (
	"context"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
)

var peers = Feature{
	Name: "peers", Does: "says which addresses pods of this node have beside the pod network, and tells of two pods that claim one",
	Fills:       network.FillsPeers,
	Derivations: func(n *Node) []state.AnyDerivation { return network.PeerDerivations(n.Tables) },
	Early: func(n *Node) ([]Runner, error) {
		return []Runner{{Name: "address conflicts", Run: func(ctx context.Context) error { return network.WarnOfConflicts(ctx, n.DB, n.Events, n.Log) }}}, nil
	},
}
