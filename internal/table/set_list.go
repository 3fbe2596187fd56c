package table

import (
	"fmt"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// SetList is the distinct lists of rules behind the entries of a policy set, each with the number that it wants.
type SetList struct {
	Set   state.Key
	Lists []RuleList // sorted
}

func (SetList) Header() []string { return []string{"Set", "Lists"} }

func (l SetList) Row() []string { return []string{fmt.Sprintf("%q", l.Set), fmt.Sprint(len(l.Lists))} }

// ByBucket is an index of SetLists: buckets of the numbers of its lists.
const ByBucket = "bucket"

var _ = declare(&tables.SetLists, "set-lists", func(r SetList) state.Key { return r.Set },
	state.Index[SetList]{Name: ByBucket, Keys: SetList.Buckets})

// Equal compares lists of a set.
func (l SetList) Equal(o SetList) bool {
	return l.Set == o.Set && column.Equal(l.Lists, o.Lists, RuleList.Equal)
}

// BucketMask is what tells numbers of a bucket apart.
const BucketMask = 1<<16 - 1

// BucketKey is the bucket of the number of a rule list.
func BucketKey(n uint32) state.Key { return state.Join(n &^ BucketMask) }

// Buckets are those of the numbers of the lists.
func (l SetList) Buckets() (keys []state.Key) {
	for _, list := range l.Lists { // sorted
		if key := BucketKey(list.Number); len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
	}
	return keys
}
