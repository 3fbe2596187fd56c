package policy

import (
	"cmp"
	"slices"

	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// newLists computes RuleLists: the distinct lists of rules behind entries. All are computed together: should two lists
// want one number, which of them gets it depends on both.
func newLists(t *table.Tables) Runner {
	all := state.Join("all")
	return &state.Derivation[table.RuleList]{
		Name:   "rule-lists",
		Out:    t.RuleLists,
		KeyOf:  func(table.RuleList) state.Key { return all },
		Inputs: []state.Input{state.On(t.PolicySets, func(state.Reader, table.PolicySet) []state.Key { return []state.Key{all} })},
		Compute: func(r state.Reader, _ state.Key) []table.RuleList {
			var lists [][]engine.Origin
			for s := range t.PolicySets.All(r) {
				lists = append(lists, distinct(s.Entries)...)
			}
			return number(lists, engine.ListNumber)
		},
	}
}

// distinct gives the rule lists of entries. Most entries share theirs with others, down to the memory.
func distinct(entries []engine.Entry) (lists [][]engine.Origin) {
	seen := map[*engine.Origin]bool{}
	for _, e := range entries {
		if len(e.Rules) > 0 && !seen[&e.Rules[0]] {
			seen[&e.Rules[0]] = true
			lists = append(lists, e.Rules)
		}
	}
	return lists
}

// number gives each list the number that it wants, or the next free one, in an order that depends on the lists only.
func number(lists [][]engine.Origin, wants func([]engine.Origin) uint32) (rows []table.RuleList) {
	for _, rules := range lists {
		rows = append(rows, table.RuleList{Number: wants(rules), Rules: rules})
	}
	slices.SortFunc(rows, func(a, b table.RuleList) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), slices.CompareFunc(a.Rules, b.Rules, engine.Origin.Compare))
	})
	rows = slices.CompactFunc(rows, func(a, b table.RuleList) bool {
		return a.Number == b.Number && slices.Equal(a.Rules, b.Rules)
	})
	taken := map[uint32]bool{}
	for _, row := range rows {
		taken[row.Number] = true
	}
	before := uint32(0) // what the list before wanted; 0 is nobody's number
	for i := range rows {
		row := &rows[i]
		wanted := row.Number
		if wanted == before {
			for taken[row.Number] || row.Number == 0 {
				row.Number++
			}
			taken[row.Number] = true
		}
		before = wanted
	}
	return rows
}

// Number tells which number a list of rules has in RuleLists, or will have once it is there. Any goroutine may call it.
func Number(t *table.Tables, db *state.DB) func([]engine.Origin) uint32 {
	return func(rules []engine.Origin) uint32 {
		s := db.Snapshot()
		for n := engine.ListNumber(rules); ; n++ {
			row, taken := t.RuleLists.One(s, state.Join(n))
			if n != 0 && (!taken || slices.Equal(row.Rules, rules)) {
				return n
			}
		}
	}
}
