package reconcile

import (
	"fmt"
	"log/slog"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// outcome is what came of one round.
type outcome[R state.Row] struct {
	loop  *Loop[R]
	tried int                  // attempts, a dump included
	done  map[state.Key]uint64 // in place, at this revision
	quiet map[state.Key]bool   // in place, and no more to be said
	gone  []state.Key          // removed
	bad   []keyed[R]           // failed
	fresh []keyed[R]           // failed in a way that is new
}

// add takes the result of Set or Unset for a batch.
func (o *outcome[R]) add(verb string, batch []keyed[R], err error) {
	rows, rest := byRow(err)
	for _, j := range batch {
		o.tried++
		err, named := rows[j.key]
		if !named {
			err = rest
		}
		delete(rows, j.key)
		if err != nil {
			o.fail(j, fmt.Errorf("%s: %w", verb, err))
			continue
		}
		delete(o.loop.jobs, j.key)
		if j.rev == 0 {
			o.gone = append(o.gone, j.key)
		} else {
			o.place(j.key, j.row, j.rev)
		}
	}
	for k, err := range rows {
		o.loop.Log.Error("the sink reports a row it was not given", "table", o.loop.Table.Name(), "row", k.String(), "action", verb, "error", err)
	}
}

// place notes that a row is in place.
func (o *outcome[R]) place(key state.Key, row R, rev uint64) {
	if o.loop.Quiet != nil && o.loop.Quiet(row) {
		o.quiet[key] = true
	} else {
		o.done[key] = rev
	}
}

func (o *outcome[R]) fail(j keyed[R], err error) {
	if j.err == nil || j.err.Error() != err.Error() {
		o.fresh = append(o.fresh, j)
	}
	j.attempts++
	j.err, j.at = err, time.Now().Add(o.loop.delay(j.attempts))
	o.bad = append(o.bad, j)
}

// report logs what fails in a way that is new: a line for a round, however many rows.
func (o *outcome[R]) report() {
	if len(o.fresh) > 0 {
		first := o.fresh[0]
		o.loop.Log.Warn("rows are not in place", "table", o.loop.Table.Name(), "rows", len(o.fresh),
			slog.Group("first", "row", first.key.String(), "error", first.err))
	}
}

// write puts the outcome into the status table.
func (o *outcome[R]) write(s *state.Snapshot) error {
	l := o.loop
	return l.db.Write(func(tx *state.Tx) error {
		for k, rev := range o.done {
			status.Statuses.Put(tx, status.Status{Table: l.Table.Name(), Key: k, Done: true, Rev: rev})
		}
		for k := range o.quiet {
			status.Statuses.Delete(tx, status.KeyOf(l.Table, k))
		}
		for _, k := range o.gone {
			status.Statuses.Delete(tx, status.KeyOf(l.Table, k))
		}
		for _, j := range o.bad {
			old, _ := status.Statuses.One(tx, status.KeyOf(l.Table, j.key))
			status.Statuses.Put(tx, status.Status{Table: l.Table.Name(), Key: j.key, Rev: old.Rev, Attempts: j.attempts, Err: j.err.Error()})
		}
		status.Statuses.Put(tx, o.whole(tx, s))
		return nil
	})
}

// whole is the status of the table, and on the way gives a status to the removals that wait for the table to be synced.
func (o *outcome[R]) whole(tx *state.Tx, s *state.Snapshot) status.Status {
	l := o.loop
	synced := l.Table.IsSynced(s)
	w := status.Status{Table: l.Table.Name(), Rev: l.Table.LastRevision(s), Attempts: l.missed}
	failing, first := 0, keyed[R]{}
	for k, j := range l.jobs {
		if j.err != nil {
			if failing++; first.job == nil || k < first.key {
				first = keyed[R]{k, j}
			}
		} else if j.rev == 0 && !synced {
			old, _ := status.Statuses.One(tx, status.KeyOf(l.Table, k))
			status.Statuses.Put(tx, status.Status{Table: w.Table, Key: k, Rev: old.Rev, Err: "its removal waits until " + w.Table + " is synced"})
		}
	}
	switch {
	case l.dump != nil:
		w.Err = l.dump.Error()
	case failing > 0:
		w.Err = fmt.Sprintf("%d rows are not in place, of which %s: %v", failing, first.key, first.err)
	case !synced:
		w.Err = w.Table + " is not synced: its first full list is not in"
	default:
		w.Done = true
	}
	if !synced && l.WaitSynced {
		w.Rev = 0
	}
	return w
}
