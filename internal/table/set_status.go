package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
)

// SetStatus is written by the sink that keeps policy sets in the kernel: where a set lives and since when.
type SetStatus struct {
	Set      state.Key
	Identity identity.Number
	Index    uint32 // in map sets
	Revision uint64
	Entries  int
	Ranges   int
}

func (SetStatus) Header() []string { return []string{"Set", "Index", "Revision", "Entries", "Ranges"} }

func (s SetStatus) Row() []string {
	return []string{fmt.Sprintf("%q", s.Set), fmt.Sprint(s.Index), fmt.Sprint(s.Revision), fmt.Sprint(s.Entries), fmt.Sprint(s.Ranges)}
}

var _ = declare(&tables.SetStatuses, "set-statuses", func(r SetStatus) state.Key { return r.Set })
