package policy

import (
	"cmp"
	"hash/fnv"
	"slices"

	engine "weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// newSetLists computes SetLists: the distinct lists of rules behind the entries of each set.
func newSetLists(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[table.SetList]{
		Name:   "set-lists",
		Out:    t.SetLists,
		KeyOf:  func(l table.SetList) state.Key { return l.Set },
		Inputs: []state.Input{state.On(t.PolicySets, func(_ state.Reader, s table.PolicySet) []state.Key { return []state.Key{t.PolicySets.Key(s)} })},
		Compute: func(r state.Reader, set state.Key) []table.SetList {
			s, _ := t.PolicySets.One(r, set)
			if lists := distinct(s.Entries); len(lists) > 0 {
				return []table.SetList{{Set: set, Lists: lists}}
			}
			return nil
		},
	}
}

// newLists computes RuleLists: the lists of all sets. Those that want numbers of one bucket are computed together: should
// two lists want one number, which of them gets it depends on both.
func newLists(t *table.Tables) state.AnyDerivation {
	return &state.Derivation[table.RuleList]{
		Name:   "rule-lists",
		Out:    t.RuleLists,
		KeyOf:  func(l table.RuleList) state.Key { return table.BucketKey(l.Number) },
		Inputs: []state.Input{state.On(t.SetLists, func(_ state.Reader, l table.SetList) []state.Key { return l.Buckets() })},
		Compute: func(r state.Reader, bucket state.Key) (lists []table.RuleList) {
			for set := range t.SetLists.By(r, table.ByBucket, bucket) {
				for _, l := range set.Lists {
					if table.BucketKey(l.Number) == bucket {
						lists = append(lists, l)
					}
				}
			}
			return number(lists)
		},
	}
}

// distinct gives the rule lists of entries with the numbers that they want. Most entries share one
// list in memory, so its address tells them apart.
func distinct(entries []engine.Entry) (lists []table.RuleList) {
	seen := map[*engine.Origin]bool{}
	for _, e := range entries {
		if len(e.Rules) > 0 && !seen[&e.Rules[0]] {
			seen[&e.Rules[0]] = true
			lists = append(lists, table.RuleList{Number: ListNumber(e.Rules), Rules: e.Rules})
		}
	}
	return sorted(lists)
}

// ListNumber is a number for a list of origins: FNV-1a of its text, never 0. Two lists may share one; number
// resolves that.
func ListNumber(rules []engine.Origin) uint32 {
	h := fnv.New32a()
	for _, o := range rules {
		for _, part := range []string{o.Kind, o.Namespace, o.Name, o.UID, o.Path, o.Log} {
			_, _ = h.Write([]byte(part))
			_, _ = h.Write([]byte{0})
		}
	}
	return max(h.Sum32(), 1)
}

// sorted orders lists and leaves each in once.
func sorted(lists []table.RuleList) []table.RuleList {
	slices.SortFunc(lists, func(a, b table.RuleList) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), slices.CompareFunc(a.Rules, b.Rules, engine.Origin.Compare))
	})
	return slices.CompactFunc(lists, table.RuleList.Equal)
}

// next is the number after n in its bucket. It comes back to the first.
func next(n uint32) uint32 { return n&^table.BucketMask | (n+1)&table.BucketMask }

// number gives each list of a bucket the number that it wants, or the next free one, in an order that depends on the lists
// only.
func number(lists []table.RuleList) []table.RuleList {
	lists = sorted(lists)
	taken := map[uint32]bool{0: true} // 0 is no list's number
	for _, l := range lists {
		taken[l.Number] = true
	}
	before := uint32(0) // what the list before wanted
	for i := range lists {
		l := &lists[i]
		wanted := l.Number
		if wanted == before {
			for taken[l.Number] {
				l.Number = next(l.Number)
			}
			taken[l.Number] = true
		}
		before = wanted
	}
	return lists
}

// Number tells which number a list of rules has in RuleLists, or will have once it is there. Any goroutine may call it.
func Number(t *table.Tables, db *state.DB) func([]engine.Origin) uint32 {
	return func(rules []engine.Origin) uint32 {
		s := db.Snapshot()
		for n := ListNumber(rules); ; n = next(n) {
			row, taken := t.RuleLists.One(s, state.Join(n))
			if n != 0 && (!taken || slices.Equal(row.Rules, rules)) {
				return n
			}
		}
	}
}
