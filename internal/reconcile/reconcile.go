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
//	                         +--> status.Statuses --> a CNI ADD, derivations that must come after
//
// # Invariants
//
//   - Nothing is removed before the table is synced: what it lacks may only not have been read yet. Rows that are there
//     are set before that (unless WaitSynced), so that a pod need not wait for the API server.
//   - In each round Set comes before Unset: a replacement stands before what it replaces goes.
//   - What is already as it should be is not touched. An agent that restarts writes nothing.
//   - A row that fails is tried again with exponential backoff and jitter, on its own: it holds up no other row. A new
//     version of it is tried at once.
//   - The outcome of every row is in the table of package status, by revision, so a waiter knows that this version of the row is done.
//
// # Example
//
//	loop := &reconcile.Loop[table.Link]{Table: table.Links, Sink: links}
//	go loop.Run(ctx, db)
//	...
//	status.Realised(r, table.Links, table.Links.Key(link)) // a derivation asks: is this link, as it is now, in place?
package reconcile

import (
	"context"
	"errors"
	"iter"

	"weftnet.io/weftnet/internal/state"
)

// Sink is the part of the world that one table describes. A sink belongs to one Loop, which calls one method at a time.
// All three methods must be idempotent: Set of what is there and Unset of what is not both succeed.
//
// A sink may also have a method Equal(want, have R) bool, for when Dump cannot tell all that a row says: it compares a row
// of the table with the row that Dump gave. Without it rows are compared as the table compares them.
//
// And it may have a method Watch(ctx context.Context, changed func(key state.Key, have *R)) error, if it hears of what
// others do to its part of the world: it works until ctx ends, beside the other methods, and calls changed with what is
// there now, as Dump would tell it; nil says that the row is gone or not as it was, an empty key that it cannot tell which
// one. The loop then sets what is not as the table says, or compares everything.
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

// Each does something to one row of a table after the other. Its error is that of the rows that failed.
func Each[R state.Row](t *state.Table[R], rows []R, do func(R) error) error {
	var errs []error
	for _, r := range rows {
		if err := do(r); err != nil {
			errs = append(errs, &RowError{Key: t.Key(r), Err: err})
		}
	}
	return errors.Join(errs...)
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
