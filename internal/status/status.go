// Package status tells how far the world follows the tables: which version of a row is in place, and what stands in the
// way of the others. Every sink's loop writes it (package reconcile); a CNI ADD waits on it; a derivation that must come
// after something else reads it like any other table.
//
// # The world it models
//
// A row of a desired table passes through versions, each named by a revision (Table.Revision). Some are put in place,
// others are overtaken before any sink tried. A Status says which version was put in place last. So "done" is never a mark
// on the row itself, and a reader compares: the row I see has revision 7, what is in place is revision 7.
//
// # Invariants
//
//   - Status never sits in the row it speaks of: writing an outcome must not look like a new wish.
//   - Realised is true only of the version that the reader's snapshot holds.
//   - A row whose removal has not succeeded keeps its status.
//
// # Example
//
//	err := status.AwaitGone(ctx, db, table.Links, key)  // until this link is removed
//
//	// in a derivation: what needs the set stays out until some version of the set is there
//	if !status.EverRealised(r, table.Sets, setKey) {
//		return nil
//	}
package status

import (
	"context"
	"fmt"

	"weftnet.io/weftnet/internal/state"
)

// Status is the outcome for one row of one table, or, with an empty Key, for the table as a whole.
type Status struct {
	Table string
	Key   state.Key

	// Done is true if the last attempt succeeded. For the table as a whole: the last comparison succeeded and no row fails.
	Done bool

	// Rev is the revision of the version of the row that was last put in place, 0 if none ever was: the row is as it
	// should be when Rev is its Table.Revision. For the table as a whole: every row of no greater revision has been tried.
	Rev uint64

	Attempts int    // failed in a row; 0 if Done
	Err      string // of the last attempt; empty if Done
}

// Statuses holds the outcome of every loop. Register it with the database that loops run on.
//
// A row whose removal fails keeps its status until it is gone.
var Statuses = state.NewTable("statuses", func(s Status) state.Key { return state.Join(s.Table, s.Key) })

// KeyOf is the key under which Statuses files the row of a table; with an empty key, the table as a whole.
func KeyOf(t interface{ Name() string }, key state.Key) state.Key { return state.Join(t.Name(), key) }

// Header names the columns.
func (Status) Header() []string { return []string{"TABLE", "KEY", "DONE", "ATTEMPTS", "ERROR"} }

// Row leaves out the revision: it depends on the order in which things happened, and a printed table should not.
func (s Status) Row() []string {
	return []string{s.Table, s.Key.String(), fmt.Sprint(s.Done), fmt.Sprint(s.Attempts), s.Err}
}

// Realised tells whether the row with a key exists and its present version is in place. A derivation that calls it must
// have both the table and Statuses (see Of) among its inputs.
func Realised[R state.Row](r state.Reader, t *state.Table[R], key state.Key) bool {
	rev := t.Revision(r, key)
	if rev == 0 {
		return false
	}
	if s, ok := Statuses.One(r, KeyOf(t, key)); ok {
		return s.Done && s.Rev == rev
	}
	return tried(r, t.Name()) >= rev // a loop may be Quiet about a row, and keep no status while it is in place
}

// EverRealised tells whether some version of the row was put in place and not removed since: what depends on the row may
// stay while a new version of it is on the way. It knows nothing of rows that a loop is Quiet about.
func EverRealised[R state.Row](r state.Reader, t *state.Table[R], key state.Key) bool {
	s, ok := Statuses.One(r, KeyOf(t, key))
	return ok && s.Rev != 0
}

func tried(r state.Reader, table string) uint64 {
	s, _ := Statuses.One(r, state.Join(table, ""))
	return s.Rev
}

// AwaitGone waits until there is no row with a key and whatever it stood for has been removed. If ctx ends first it
// returns an error that says what stands in the way and wraps that of ctx.
func AwaitGone[R state.Row](ctx context.Context, db *state.DB, t *state.Table[R], key state.Key) error {
	var since uint64 // a revision at which the row was gone
	for {
		s := db.Snapshot()
		_, exists, row := t.WatchOne(s, key)
		status, left, one := Statuses.WatchOne(s, KeyOf(t, key))
		whole, _, all := Statuses.WatchOne(s, KeyOf(t, ""))
		switch {
		case exists:
			since = 0
		case since == 0:
			since = t.LastRevision(s)
		}
		if !exists && !left && whole.Rev >= since {
			return nil
		}
		select {
		case <-row:
		case <-one:
		case <-all:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s %s is gone: %s: %w", t.Name(), key, obstacle(exists, status, whole), context.Cause(ctx))
		}
	}
}

// Table is a table of any row type that a loop follows.
type Table interface {
	Name() string
	IsSynced(r state.Reader) bool
	LastRevision(r state.Reader) uint64
}

// AwaitFirst waits until a loop that waits for its table to be synced has tried all rows that there were then.
func AwaitFirst(ctx context.Context, db *state.DB, t Table) error {
	var since uint64
	for synced := false; ; {
		s := db.Snapshot()
		whole, ok, changed := Statuses.WatchOne(s, KeyOf(t, ""))
		if !synced && t.IsSynced(s) {
			synced, since = true, t.LastRevision(s)
		}
		if synced && ok && whole.Rev >= since {
			return nil
		}
		select {
		case <-changed: // also when the table gets synced: the loop writes then
		case <-ctx.Done():
			return fmt.Errorf("wait for the first %s: %w", t.Name(), context.Cause(ctx))
		}
	}
}

// obstacle says in words why a row is not gone.
func obstacle(exists bool, row, table Status) string {
	switch {
	case exists:
		return "the row is still there"
	case row.Err != "":
		return fmt.Sprintf("%s (attempt %d)", row.Err, row.Attempts)
	case table.Err != "":
		return table.Err
	}
	return "not done yet"
}
