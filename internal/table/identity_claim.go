package table

import (
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
)

// IdentityClaim asks the cluster for a number for a label set that a workload of this node has.
type IdentityClaim struct{ Labels identity.Labels }

func (IdentityClaim) Header() []string { return []string{"Labels"} }

func (c IdentityClaim) Row() []string { return []string{c.Labels.String()} }

var _ = declare(&tables.IdentityClaims, "identity-claims", func(r IdentityClaim) state.Key { return state.Join(r.Labels.String()) })
