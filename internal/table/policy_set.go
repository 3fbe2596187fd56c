package table

import (
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// PolicySet is what the NICs of one identity (and one set of named ports) may send and receive.
type PolicySet struct {
	Identity   identity.Number
	NamedPorts string // canonical text, "" when none; with where the NICs are if not in the pod network (station.Scope)
	Entries    []policy.Entry
	Ranges     []policy.Range // classes of addresses, peers of entries beside identities
}

func (PolicySet) Header() []string { return []string{"Identity", "NamedPorts", "Entries", "Ranges"} }

func (s PolicySet) Row() []string {
	text := make([]string, len(s.Entries))
	for i, e := range s.Entries {
		text[i] = e.String()
	}
	return []string{fmt.Sprint(s.Identity), s.NamedPorts, strings.Join(text, " | "), column.List(s.Ranges)}
}

var _ = declare(&tables.PolicySets, "policy-sets", func(r PolicySet) state.Key { return SetKey(r.Identity, r.NamedPorts) },
	byIdentity(func(r PolicySet) identity.Number { return r.Identity }))

// Equal compares sets. Thousands of entries make the usual comparison, by reflection, slow.
func (s PolicySet) Equal(o PolicySet) bool {
	return s.Identity == o.Identity && s.NamedPorts == o.NamedPorts &&
		column.Equal(s.Entries, o.Entries, sameEntry) && column.Equal(s.Ranges, o.Ranges, func(a, b policy.Range) bool { return a == b })
}

func sameEntry(a, b policy.Entry) bool {
	return a.Compare(b) == 0 && a.Verdict == b.Verdict && a.Match == b.Match && a.Precedence == b.Precedence && column.Equal(a.Rules, b.Rules, sameOrigin)
}

// HostSet is the key of the policy set of this node itself.
var HostSet = SetKey(identity.Host, "")

// SetKey is the key of the policy set that NICs of an identity with these named ports share.
func SetKey(n identity.Number, namedPorts string) state.Key { return state.Join(uint32(n), namedPorts) }
