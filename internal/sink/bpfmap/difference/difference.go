// Package difference tells what changes between two versions of a policy set, and whether that can be written over what is
// in force.
//
// # The world it models
//
// A set is a sorted list of entries, each once by its key. A packet asks the set several times: for its peer and for any
// peer, in each tier. While entries are written one by one it may so hear a part of the old version and a part of the new.
//
// # Invariants
//
//   - What Of says is gone and added, done to the old list, makes the new one.
//   - If OnlyPeers, then whatever part of the change is written, every packet meets either the old version or the new.
//
// # Example
//
//	gone, added := difference.Of(have, want)
//	if difference.OnlyPeers(have, want, gone, added) {
//		// write added, remove gone; else write all of want as another generation
//	}
package difference

import (
	"slices"

	"weftnet.io/weftnet/internal/policy"
)

// Of compares two sorted lists of entries. An entry that has become another is in both results.
func Of(have, want []policy.Entry) (gone, added []policy.Entry) {
	for len(have) > 0 && len(want) > 0 {
		order := have[0].Compare(want[0])
		if order == 0 && same(have[0], want[0]) {
			have, want = have[1:], want[1:]
			continue
		}
		if order <= 0 {
			gone, have = append(gone, have[0]), have[1:]
		}
		if order >= 0 {
			added, want = append(added, want[0]), want[1:]
		}
	}
	return append(gone, have...), append(added, want...)
}

// same compares what entries with one key say.
func same(a, b policy.Entry) bool {
	return a.Verdict == b.Verdict && a.Match == b.Match && a.Precedence == b.Precedence && slices.Equal(a.Rules, b.Rules)
}

// OnlyPeers tells whether two versions of a set differ only in peers that one of them does not mention at all, and of
// which one tier alone speaks: a packet that asks several of them must not see half of what is new.
func OnlyPeers(have, want, gone, added []policy.Entry) bool {
	one := func(changed, mine, others []policy.Entry) bool {
		return !slices.ContainsFunc(changed, func(e policy.Entry) bool { return speaking(mine, e) != 1 || speaking(others, e) != 0 })
	}
	return one(gone, have, want) && one(added, want, have)
}

// speaking counts the tiers of a sorted list that speak of an entry's peer, in the entry's view and direction.
func speaking(list []policy.Entry, e policy.Entry) (n int) {
	for _, tier := range [...]policy.Tier{policy.Normal, policy.Admin, policy.Baseline} {
		first := policy.Entry{View: e.View, Tier: tier, Direction: e.Direction, Peer: e.Peer}
		at, _ := slices.BinarySearchFunc(list, first, policy.Entry.Compare)
		if at < len(list) && list[at].View == e.View && list[at].Tier == tier && list[at].Direction == e.Direction && list[at].Peer == e.Peer {
			n++
		}
	}
	return n
}
