package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
)

// NICStatus is written by the sink that keeps NICs in the kernel: the identity that the kernel gives to what an
// attachment sends and receives, and the index of its policy set there.
type NICStatus struct {
	Incarnation, SetIndex uint32
	Identity              identity.Number
}

func (NICStatus) Header() []string { return []string{"Incarnation", "Identity", "Set"} }

func (n NICStatus) Row() []string {
	return []string{fmt.Sprint(n.Incarnation), fmt.Sprint(n.Identity), fmt.Sprint(n.SetIndex)}
}

var _ = declare(&tables.NICStatuses, "nic-statuses", func(r NICStatus) state.Key { return state.Join(r.Incarnation) },
	byIdentity(func(r NICStatus) identity.Number { return r.Identity }))
