package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
	"weftnet.io/weftnet/internal/state"
)

// Identity is a CiliumIdentity object: a number that the cluster agreed on for a label set.
type Identity struct {
	Number identity.Number
	Labels identity.Labels
}

func (Identity) Header() []string { return []string{"Number", "Labels"} }

func (i Identity) Row() []string { return []string{fmt.Sprint(i.Number), i.Labels.String()} }

var _ = declare(&tables.Identities, "identities", func(r Identity) state.Key { return state.Join(uint32(r.Number)) },
	state.Index[Identity]{Name: ByLabels, Keys: func(r Identity) []state.Key { return []state.Key{state.Join(r.Labels.String())} }},
	state.Index[Identity]{Name: BySelector, Keys: func(r Identity) []state.Key { return indexKeys(labelindex.OfLabels(r.Labels)) }})
