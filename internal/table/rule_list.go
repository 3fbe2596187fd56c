package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// RuleList is a numbered list of the rules that made an entry; events carry the number.
type RuleList struct {
	Number uint32
	Rules  []policy.Origin
}

func (RuleList) Header() []string { return []string{"Number", "Rules"} }

func (r RuleList) Row() []string { return []string{fmt.Sprint(r.Number), column.List(r.Rules)} }

var _ = declare(&tables.RuleLists, "rule-lists", func(r RuleList) state.Key { return state.Join(r.Number) })

func sameOrigin(a, b policy.Origin) bool { return a == b }

// Equal compares numbers and rules.
func (l RuleList) Equal(o RuleList) bool {
	return l.Number == o.Number && column.Equal(l.Rules, o.Rules, sameOrigin)
}
