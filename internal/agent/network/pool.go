package network

import (
	derive "weftnet.io/weftnet/internal/derive/pool"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/pool"
)

// PoolDerivations are those of what this node needs of named pools of the pod network.
var PoolDerivations = derive.Derivations

// FillsPools is their table.
func FillsPools(*table.Tables) []state.AnyTable { return []state.AnyTable{pool.Needs} }
