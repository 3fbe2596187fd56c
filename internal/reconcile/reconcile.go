// Package reconcile makes a part of the world equal to a table, and keeps it so. It is the one loop behind every sink:
// BPF maps, links, routes, the status of Kubernetes objects.
//
// # The world it models
//
// A table says what should be; a Sink can tell what is (Dump) and change it (Set, Unset). A Loop follows the table's
// change feed and hands each change to the sink at once, without debounce: a CNI ADD is waiting for it. Now and then, and
// after errors, it compares all that is with all that should be, and repairs the difference.
//
//	desired table --feed--> Loop --Set, Unset--> Sink --> kernel
//	                         |  <-----Dump------/
//	                         +--> Statuses --> Await, derivations that must come after
//
// # Invariants
//
//   - Nothing is removed before the table is synced: what it lacks may only not have been read yet. Rows that are there
//     are set before that (unless WaitSynced), so that a pod need not wait for the API server.
//   - In each round Set comes before Unset: a replacement stands before what it replaces goes.
//   - What is already as it should be is not touched. An agent that restarts writes nothing.
//   - A row that fails is tried again with exponential backoff and jitter, on its own: it holds up no other row. A new
//     version of it is tried at once.
//   - The outcome of every row is in Statuses, by revision, so a waiter knows that this version of the row is done.
//
// # Example
//
//	loop := &reconcile.Loop[table.Link]{Table: table.Links, Sink: links}
//	go loop.Run(ctx, db)
//	...
//	err := reconcile.Await(ctx, db, table.Links, table.Links.Key(link)) // a CNI ADD waits here
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"weftnet.io/weftnet/internal/state"
)

// Sink is the part of the world that one table describes. A sink belongs to one Loop, which calls one method at a time.
// All three methods must be idempotent: Set of what is there and Unset of what is not both succeed.
//
// A sink may also have a method Equal(want, have R) bool, for when Dump cannot tell all that a row says: it compares a row
// of the table with the row that Dump gave. Without it rows are compared as the table compares them.
type Sink[R state.Row] interface {
	// Dump gives everything that is there and that this table is responsible for, under the keys the table would use.
	// Whatever has no row of that key in the table is removed, so a sink must leave out what others own. It reads all
	// before it returns: there is no way to report an error from within the sequence.
	Dump(ctx context.Context) (iter.Seq2[state.Key, R], error)

	// Set creates or replaces rows, in one batch where the kernel can. A row that fails is reported by a *RowError, several
	// by errors.Join; any other error counts for all rows of the batch that have none of their own.
	Set(ctx context.Context, rows []R) error

	// Unset removes rows: as Dump gave them, or as the table last had them. Errors are those of Set.
	Unset(ctx context.Context, rows []R) error
}

// RowError is the failure of one row of a batch.
type RowError struct {
	Key state.Key
	Err error
}

func (e *RowError) Error() string { return e.Key.String() + ": " + e.Err.Error() }
func (e *RowError) Unwrap() error { return e.Err }

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
	if s, ok := Statuses.One(r, statusKey(t, key)); ok {
		return s.Done && s.Rev == rev
	}
	return tried(r, t.Name()) >= rev // a Brief loop keeps no status of what succeeded
}

// EverRealised tells whether some version of the row was put in place and not removed since: what depends on the row may
// stay while a new version of it is on the way. It knows nothing of tables with a Brief loop.
func EverRealised[R state.Row](r state.Reader, t *state.Table[R], key state.Key) bool {
	s, ok := Statuses.One(r, statusKey(t, key))
	return ok && s.Rev != 0
}

func tried(r state.Reader, table string) uint64 {
	s, _ := Statuses.One(r, state.Join(table, state.Key("")))
	return s.Rev
}

// Await waits until the row with a key exists and its present version is in place. If ctx ends first it returns an error
// that says what stands in the way and wraps that of ctx.
func Await[R state.Row](ctx context.Context, db *state.DB, t *state.Table[R], key state.Key) error {
	return await(ctx, db, t, key, func(s *state.Snapshot) bool { return Realised(s, t, key) })
}

// AwaitGone waits until there is no row with a key and whatever it stood for has been removed.
func AwaitGone[R state.Row](ctx context.Context, db *state.DB, t *state.Table[R], key state.Key) error {
	var since uint64 // a revision at which the row was gone
	return await(ctx, db, t, key, func(s *state.Snapshot) bool {
		if t.Revision(s, key) != 0 {
			since = 0
			return false
		}
		if since == 0 {
			since = t.LastRevision(s)
		}
		_, left := Statuses.One(s, statusKey(t, key))
		return !left && tried(s, t.Name()) >= since
	})
}

func await[R state.Row](ctx context.Context, db *state.DB, t *state.Table[R], key state.Key, done func(*state.Snapshot) bool) error {
	for {
		s := db.Snapshot()
		if done(s) {
			return nil
		}
		_, exists, row := t.WatchOne(s, key)
		status, _, one := Statuses.WatchOne(s, statusKey(t, key))
		whole, _, all := Statuses.WatchOne(s, state.Join(t.Name(), state.Key("")))
		select {
		case <-row:
		case <-one:
		case <-all:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s %s: %s: %w", t.Name(), key, obstacle(exists, status, whole), context.Cause(ctx))
		}
	}
}

// obstacle says in words why a row is not in place.
func obstacle(exists bool, row, table Status) string {
	switch {
	case row.Err != "":
		return fmt.Sprintf("%s (attempt %d)", row.Err, row.Attempts)
	case table.Err != "":
		return table.Err
	case !exists:
		return "there is no such row: what it is derived from is missing or not ready"
	}
	return "not done yet"
}

// byRow sorts out which rows of a batch failed. all is the error of the rows that rows does not name.
func byRow(err error) (rows map[state.Key]error, all error) {
	rows = map[state.Key]error{}
	var visit func(error)
	visit = func(err error) {
		var one *RowError
		switch e := err.(type) { //nolint:errorlint // the tree is walked by hand, branch by branch
		case nil:
		case *RowError:
			rows[e.Key] = e.Err
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				visit(err)
			}
		case interface{ Unwrap() error }:
			if errors.As(err, &one) {
				visit(e.Unwrap())
			} else {
				all = errors.Join(all, err)
			}
		default:
			all = errors.Join(all, err)
		}
	}
	visit(err)
	return rows, all
}
