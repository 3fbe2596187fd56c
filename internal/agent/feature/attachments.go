package feature

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// attachments has no derivation of its own: tables Needs and Ready are joined of what all features need (func Derivations).
var attachments = Feature{
	Name: "attachments", Does: "takes CNI calls, and says when all that a pod's first packet meets is in place",
	Fills: func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Attachments, t.Needs, t.Ready} },
}
