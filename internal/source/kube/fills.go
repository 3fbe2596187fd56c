package kube

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/overlay"
	"weftnet.io/weftnet/internal/table/peer"
	"weftnet.io/weftnet/internal/table/pool"
	"weftnet.io/weftnet/internal/table/redirect"
)

// Fills are the tables that objects of the API server fill.
func Fills(t *table.Tables) []state.AnyTable {
	return []state.AnyTable{
		t.Settings, t.Nodes, t.Namespaces, t.Pods, t.Identities, t.Endpoints, t.Services, t.EndpointSlices, t.Policies, t.CIDRGroups, redirect.Table,
		network.Definitions, overlay.Networks, peer.Peers, pool.Pools, machine.Machines, machine.Instances,
	}
}
