package difference

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/policy"
)

var genEntries = rapid.Custom(func(t *rapid.T) []policy.Entry {
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) policy.Entry {
		return policy.Entry{
			View: policy.View(rapid.IntRange(0, 1).Draw(t, "view")), Tier: policy.Tier(rapid.IntRange(0, 2).Draw(t, "tier")),
			Direction: policy.Direction(rapid.IntRange(1, 2).Draw(t, "direction")), Peer: identity.Number(rapid.IntRange(0, 3).Draw(t, "peer")),
			Protocol: rapid.SampledFrom([]uint8{0, policy.TCP}).Draw(t, "protocol"), Verdict: policy.Verdict(rapid.IntRange(1, 2).Draw(t, "verdict")),
		}
	}), 0, 8).Draw(t, "entries")
	slices.SortFunc(list, policy.Entry.Compare)
	return slices.CompactFunc(list, func(a, b policy.Entry) bool { return a.Compare(b) == 0 })
})

// lacking lists what one list has and another lacks.
func lacking(have, other []policy.Entry) (out []policy.Entry) {
	for _, e := range have {
		if !slices.ContainsFunc(other, func(f policy.Entry) bool { return e.Compare(f) == 0 && same(e, f) }) {
			out = append(out, e)
		}
	}
	return out
}

// side is whose entries a packet meets together.
type side struct {
	view      policy.View
	direction policy.Direction
	peer      identity.Number
}

func bySide(list []policy.Entry) map[side][]policy.Entry {
	m := map[side][]policy.Entry{}
	for _, e := range list {
		k := side{e.View, e.Direction, e.Peer}
		m[k] = append(m[k], e)
	}
	return m
}

// torn tells whether a packet could meet a part of what changes, from one list to another.
func torn(mine, others map[side][]policy.Entry) bool {
	for k, entries := range mine {
		other, both := others[k]
		if both && (lacking(entries, other) != nil || lacking(other, entries) != nil) || !both && entries[0].Tier != entries[len(entries)-1].Tier {
			return true
		}
	}
	return false
}

func TestOnlyWhatNoPacketMeetsInPartsIsEditedInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := genEntries.Draw(t, "have")
		want := genEntries.Draw(t, "other")
		if rapid.Bool().Draw(t, "close") { // some of the same, so that an edit is likely
			want = slices.DeleteFunc(slices.Clone(have), func(e policy.Entry) bool { return e.Peer == identity.Number(len(want)%4) })
			if rapid.Bool().Draw(t, "turned") {
				have, want = want, have
			}
		}
		gone, added := Of(have, want)
		if !slices.EqualFunc(gone, lacking(have, want), equal) || !slices.EqualFunc(added, lacking(want, have), equal) {
			t.Fatalf("from %v\nto %v\ngone %v\nadded %v", have, want, gone, added)
		}
		a, b := bySide(have), bySide(want)
		if inPlace, want := OnlyPeers(have, want, gone, added), !torn(a, b) && !torn(b, a); inPlace != want {
			t.Fatalf("from %v\nin place: %t, want %t", have, inPlace, want)
		}
	})
}

func equal(a, b policy.Entry) bool { return a.Compare(b) == 0 && same(a, b) }
