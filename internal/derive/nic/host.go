package nic

import (
	"math"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// hostNIC is the key of the row by which programs find this node's own policy set. Other rows have the name of a device as key.
var hostNIC = state.Join("")

func ofHost(set state.Key) []state.Key {
	if set == table.HostSet {
		return []state.Key{hostNIC}
	}
	return nil
}

// host is the node's row, which is there as long as a policy selects the node. Its set is there before and after that, so that it
// changes from allowing all to what the policy says, and back, while no program reads it.
func host(t *table.Tables, r state.Reader) []table.NIC {
	set, ok := t.PolicySets.One(r, table.HostSet)
	there, enforced := t.SetStatuses.One(r, table.HostSet)
	if !ok || !enforced || !restricts(set) {
		return nil
	}
	return []table.NIC{{
		Incarnation: math.MaxUint32, // no attachment has it, and no other owner of abi/quota.h
		Identity:    identity.Host, SetIndex: there.Index, MAC: noMAC, HostMAC: noMAC,
	}}
}

const noMAC = "00:00:00:00:00:00"

// restricts tells whether a rule is behind any of the entries.
func restricts(set table.PolicySet) bool {
	for _, e := range set.Entries {
		if len(e.Rules) > 0 || e.Verdict != policy.Allow {
			return true
		}
	}
	return false
}
