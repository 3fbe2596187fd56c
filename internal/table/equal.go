package table

import (
	"slices"

	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
)

// Equal compares sets. Thousands of entries make the usual comparison, by reflection, slow.
func (s PolicySet) Equal(o PolicySet) bool {
	return s.Identity == o.Identity && s.NamedPorts == o.NamedPorts &&
		equal(s.Entries, o.Entries, sameEntry) && equal(s.Ranges, o.Ranges, func(a, b policy.Range) bool { return a == b })
}

func sameEntry(a, b policy.Entry) bool {
	return a.Compare(b) == 0 && a.Verdict == b.Verdict && a.Match == b.Match && a.Precedence == b.Precedence && equal(a.Rules, b.Rules, sameOrigin)
}

func sameOrigin(a, b policy.Origin) bool { return a == b }

// Equal compares lists of a set.
func (l SetList) Equal(o SetList) bool {
	return l.Set == o.Set && equal(l.Lists, o.Lists, RuleList.Equal)
}

// Equal compares numbers and rules.
func (l RuleList) Equal(o RuleList) bool {
	return l.Number == o.Number && equal(l.Rules, o.Rules, sameOrigin)
}

// equal spares the look where both are the same memory.
func equal[E any](a, b []E, same func(a, b E) bool) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.EqualFunc(a, b, same))
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
