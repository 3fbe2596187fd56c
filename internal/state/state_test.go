package state_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/state/listing"
)

type pod struct {
	Name   string
	Addr   netip.Addr
	Labels string // one letter each
}

func (pod) Header() []string { return []string{"NAME", "ADDRESS", "LABELS"} }
func (p pod) Row() []string  { return []string{p.Name, p.Addr.String(), p.Labels} }

var byLabel = state.Index[pod]{Name: "label", Keys: func(p pod) []state.Key {
	var keys []state.Key
	for _, l := range p.Labels {
		keys = append(keys, state.Key(l))
	}
	return keys
}}

var byAddr = state.Index[pod]{Name: "addr", Keys: func(p pod) []state.Key { return []state.Key{state.Join(p.Addr)} }}

func newPods() *state.Table[pod] {
	return state.NewTable("pods", func(p pod) state.Key { return state.Join(p.Name) }, byLabel, byAddr)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func put[R state.Row](db *state.DB, t *state.Table[R], rows ...R) {
	_ = db.Write(func(tx *state.Tx) error {
		for _, r := range rows {
			t.Put(tx, r)
		}
		return nil
	})
}

func del[R state.Row](db *state.DB, t *state.Table[R], keys ...state.Key) {
	_ = db.Write(func(tx *state.Tx) error {
		for _, k := range keys {
			t.Delete(tx, k)
		}
		return nil
	})
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func TestRowsAreFoundByKeyPrefixAndIndex(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	web, db1, db2 := pod{"web", addr("10.0.0.1"), "a"}, pod{"db", addr("10.0.0.2"), "ab"}, pod{"db2", addr("10.0.0.3"), "b"}
	put(db, pods, web, db1, db2)
	s := db.Snapshot()
	if got, ok := pods.One(s, state.Join("web")); !ok || got != web {
		t.Errorf("One(web) = %v, %v", got, ok)
	}
	if got := slices.Collect(pods.All(s)); !slices.Equal(got, []pod{db1, db2, web}) {
		t.Errorf("All = %v", got)
	}
	if got := slices.Collect(pods.Prefix(s, state.Join("db"))); !slices.Equal(got, []pod{db1}) {
		t.Errorf("Prefix(db) = %v: a part must not match the beginning of a longer one", got)
	}
	if got := slices.Collect(pods.By(s, "label", "b")); !slices.Equal(got, []pod{db1, db2}) {
		t.Errorf("By(label b) = %v", got)
	}
	if got := slices.Collect(pods.Below(s, "label", "")); !slices.Equal(got, []pod{db1, web, db1, db2}) {
		t.Errorf("Below(label) = %v", got)
	}
	if got := slices.Collect(pods.Below(s, "label", "b")); !slices.Equal(got, []pod{db1, db2}) {
		t.Errorf("Below(label b) = %v", got)
	}
	put(db, pods, pod{"db", addr("10.0.0.2"), "a"})
	if got := slices.Collect(pods.By(db.Snapshot(), "label", "b")); !slices.Equal(got, []pod{db2}) {
		t.Errorf("By(label b) after the label went = %v", got)
	}
	if got := slices.Collect(pods.By(s, "label", "b")); !slices.Equal(got, []pod{db1, db2}) {
		t.Errorf("a snapshot changed: By(label b) = %v", got)
	}
}

func TestAnErrorOrPanicLeavesTheStateAsItWas(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	put(db, pods, pod{Name: "a"})
	before, watch := db.Snapshot(), pods.WatchAll(db.Snapshot())
	no := errors.New("no")
	if err := db.Write(func(tx *state.Tx) error {
		pods.Put(tx, pod{Name: "b"})
		pods.Delete(tx, state.Join("a"))
		return no
	}); err != no {
		t.Fatalf("Write = %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = db.Write(func(tx *state.Tx) error { pods.Put(tx, pod{Name: "b"}); panic("oh") })
	}()
	if db.Snapshot() != before || closed(watch) {
		t.Error("something changed")
	}
	put(db, pods, pod{Name: "c"}) // the lock is free
	if pods.Len(db.Snapshot()) != 2 {
		t.Error("the write after the panic is missing")
	}
}

func TestPuttingAnEqualRowChangesNothing(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	put(db, pods, pod{Name: "a"})
	before := db.Snapshot()
	put(db, pods, pod{Name: "a"})
	if db.Snapshot() != before {
		t.Error("an equal row made a new snapshot")
	}
}

// loose rows are equal if their ids are, whatever else they hold.
type loose struct{ ID, Note string }

func (loose) Header() []string       { return []string{"ID"} }
func (l loose) Row() []string        { return []string{l.ID} }
func (l loose) Equal(o loose) bool   { return l.ID == o.ID }
func looseKey(loose) (one state.Key) { return "one" }

func TestAMethodEqualDecidesWhatIsEqual(t *testing.T) {
	rows := state.NewTable("loose", looseKey)
	db := state.New(rows)
	put(db, rows, loose{"1", "x"})
	put(db, rows, loose{"1", "y"})
	if got, _ := rows.One(db.Snapshot(), "one"); got.Note != "x" {
		t.Errorf("an equal row replaced the old one: %v", got)
	}
	put(db, rows, loose{"2", "z"})
	if got, _ := rows.One(db.Snapshot(), "one"); got.Note != "z" {
		t.Errorf("a different row did not replace the old one: %v", got)
	}
}

func TestATransactionReadsItsOwnWritesAndMayWriteWhileItWalks(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	for i := range 100 {
		put(db, pods, pod{Name: string(rune('A' + i)), Labels: "x"})
	}
	_ = db.Write(func(tx *state.Tx) error {
		n := 0
		for p := range pods.All(tx) {
			n++
			pods.Delete(tx, pods.Key(p))
			p.Name += "'"
			pods.Put(tx, p)
		}
		if n != 100 || pods.Len(tx) != 100 {
			t.Errorf("walked %d rows, there are %d", n, pods.Len(tx))
		}
		n = 0
		for p := range pods.By(tx, "label", "x") {
			n++
			if !strings.HasSuffix(p.Name, "'") {
				t.Errorf("the index still holds %s", p.Name)
			}
			p.Labels = "y"
			pods.Put(tx, p)
		}
		if n != 100 {
			t.Errorf("walked %d rows of the index", n)
		}
		return nil
	})
}

func TestRevisionNamesAVersion(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	rev := func() uint64 { return pods.Revision(db.Snapshot(), state.Join("a")) }
	if rev() != 0 {
		t.Error("a missing row has a revision")
	}
	put(db, pods, pod{Name: "a"})
	first := rev()
	put(db, pods, pod{Name: "b"})
	if rev() != first {
		t.Error("a change elsewhere changed the revision")
	}
	del(db, pods, state.Join("a"))
	put(db, pods, pod{Name: "a"})
	if rev() <= first {
		t.Error("a new row has an old revision")
	}
}

func TestATableMadeBySeveralIsSyncedOnceAllAre(t *testing.T) {
	pods := newPods().MadeBy("x", "y")
	db := state.New(pods)
	mark := func(who string) bool {
		_ = db.Write(func(tx *state.Tx) error { pods.MarkSyncedBy(tx, who); return nil })
		return pods.IsSynced(db.Snapshot())
	}
	for range 2 {
		if mark("x") {
			t.Error("synced by x alone")
		}
	}
	if !mark("y") {
		t.Error("not synced by x and y")
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown producer was accepted")
		}
	}()
	mark("z")
}

func TestATableIsPrintedInAlignedColumns(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	put(db, pods, pod{"web", addr("10.0.0.1"), "a"}, pod{"database", addr("fd00::1"), ""})
	var out strings.Builder
	if err := listing.Write(&out, pods, db.Snapshot()); err != nil {
		t.Fatal(err)
	}
	want := "NAME      ADDRESS   LABELS\n" +
		"database  fd00::1   -\n" +
		"web       10.0.0.1  a\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}
