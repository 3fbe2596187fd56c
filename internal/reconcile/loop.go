package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// Loop keeps a sink equal to a table. Fill in Table and Sink, and Run it; the zero values of the rest are good.
type Loop[R state.Row] struct {
	Table *state.Table[R]
	Sink  Sink[R]

	// WaitSynced says that a row is worth nothing before all are there (it is compiled of many facts, and what an earlier
	// agent left in place is better): nothing at all is done until the table is synced.
	WaitSynced bool

	// After is a table whose first rows must have been tried before this loop begins; nil: none. It has a loop that waits for
	// its table to be synced.
	After status.Table

	// Quiet names rows that have a status only while they fail, which saves much memory on large tables; nil: none.
	// Realised works all the same, EverRealised does not.
	Quiet func(R) bool

	Every      time.Duration // between comparisons of all that is with all that should be; 0 is 5 minutes
	Backoff    time.Duration // before the first retry, doubling with each; 0 is 50 ms
	MaxBackoff time.Duration // 0 is 1 minute
	Log        *slog.Logger  // failures and recoveries; nil is nowhere

	db   *state.DB
	feed *state.Feed[R]
	jobs map[state.Key]*job[R] // what is not in place

	compareAt time.Time // next comparison
	dump      error     // what the last dump met
	missed    int       // rounds in a row in which something failed
	others    others[R]
}

// job is one row that is not as it should be, or one thing that should not be.
type job[R state.Row] struct {
	row      R
	rev      uint64 // of the row; 0 if it is to be removed
	attempts int
	err      error
	at       time.Time // not before
}

// Run works until ctx ends, and returns its error.
func (l *Loop[R]) Run(ctx context.Context, db *state.DB) error {
	l.defaults()
	if l.After != nil {
		if err := status.AwaitFirst(ctx, db, l.After); err != nil {
			return err
		}
	}
	l.db, l.feed, l.jobs = db, l.Table.Feed(db), map[state.Key]*job[R]{}
	defer l.feed.Close()
	defer l.listen(ctx)()
	for {
		changes, s, more := l.feed.Next()
		l.note(changes, s)
		l.restore(s)
		if err := l.round(ctx, s, len(changes) > 0); err != nil {
			return err
		}
		wake := time.NewTimer(time.Until(l.next(s)))
		select {
		case <-ctx.Done():
			wake.Stop()
			return ctx.Err()
		case <-more:
		case <-l.others.told:
		case <-wake.C:
		}
		wake.Stop()
	}
}

func (l *Loop[R]) defaults() {
	if l.Every == 0 {
		l.Every = 5 * time.Minute
	}
	if l.Backoff == 0 {
		l.Backoff = 50 * time.Millisecond
	}
	if l.MaxBackoff == 0 {
		l.MaxBackoff = time.Minute
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
}

// note turns changes into jobs. A new version starts afresh: what failed with the old one may work now.
func (l *Loop[R]) note(changes []state.Change[R], s *state.Snapshot) {
	for _, c := range changes {
		j := &job[R]{row: c.Row}
		if !c.Deleted {
			j.rev = l.Table.Revision(s, c.Key)
		}
		l.jobs[c.Key] = j
	}
}

// round does what is due and writes what came of it. Its only error is that of ctx.
func (l *Loop[R]) round(ctx context.Context, s *state.Snapshot, changed bool) error {
	synced := l.Table.IsSynced(s)
	out := &outcome[R]{loop: l, done: map[state.Key]uint64{}, quiet: map[state.Key]bool{}}
	if synced && !time.Now().Before(l.compareAt) {
		l.compare(ctx, s, out)
	}
	if synced || !l.WaitSynced {
		sets := l.due(false)
		out.add("set", sets, l.apply(ctx, l.Sink.Set, sets))
	}
	if synced {
		unsets := l.due(true)
		out.add("remove", unsets, l.apply(ctx, l.Sink.Unset, unsets))
	}
	if ctx.Err() != nil {
		return ctx.Err() // whatever failed now failed because of it
	}
	if l.dump != nil || len(out.bad) > 0 {
		if out.tried > 0 {
			l.missed++
		}
		if again := time.Now().Add(l.delay(l.missed)); again.Before(l.compareAt) {
			l.compareAt = again
		}
	} else if out.tried > 0 {
		l.missed = 0
	}
	out.report()
	if !changed && out.tried == 0 {
		return nil
	}
	return out.write(s)
}

// next is when there is something to do if nothing changes.
func (l *Loop[R]) next(s *state.Snapshot) time.Time {
	synced := l.Table.IsSynced(s)
	at := time.Now().Add(l.Every)
	if synced {
		at = l.compareAt
	}
	for _, j := range l.jobs {
		ready := synced || j.rev != 0 && !l.WaitSynced
		if ready && j.at.Before(at) {
			at = j.at
		}
	}
	return at
}

// due picks the jobs whose time has come, in key order.
func (l *Loop[R]) due(unset bool) (batch []keyed[R]) {
	now := time.Now()
	for k, j := range l.jobs {
		if (j.rev == 0) == unset && !j.at.After(now) {
			batch = append(batch, keyed[R]{k, j})
		}
	}
	slices.SortFunc(batch, func(a, b keyed[R]) int { return cmp.Compare(a.key, b.key) })
	return batch
}

type keyed[R state.Row] struct {
	key state.Key
	*job[R]
}

func (l *Loop[R]) apply(ctx context.Context, do func(context.Context, []R) error, batch []keyed[R]) error {
	if len(batch) == 0 {
		return nil
	}
	rows := make([]R, len(batch))
	for i, j := range batch {
		rows[i] = j.row
	}
	return do(ctx, rows)
}

// compare dumps the sink and makes jobs of all that differs. A job that has been tried keeps its backoff; one whose work
// turns out to be done is struck off.
func (l *Loop[R]) compare(ctx context.Context, s *state.Snapshot, out *outcome[R]) {
	out.tried++
	l.compareAt = time.Now().Add(l.Every)
	var dump iter.Seq2[state.Key, R]
	if dump, l.dump = l.Sink.Dump(ctx); l.dump != nil {
		l.dump = fmt.Errorf("dump %s: %w", l.Table.Name(), l.dump)
		return
	}
	have := map[state.Key]R{}
	for k, r := range dump {
		have[k] = r
	}
	var again []string
	for want := range l.Table.All(s) {
		k := l.Table.Key(want)
		is, ok := have[k]
		if ok && l.equal(want, is) {
			delete(l.jobs, k)
			out.place(k, want, l.Table.Revision(s, k))
		} else if l.jobs[k] == nil {
			l.jobs[k] = &job[R]{row: want, rev: l.Table.Revision(s, k)}
			if l.wasInPlace(s, k) {
				again = append(again, k.String())
			}
		}
		delete(have, k)
	}
	l.putBack(again)
	for k, j := range l.jobs {
		if _, ok := have[k]; !ok && j.rev == 0 {
			delete(l.jobs, k)
			out.gone = append(out.gone, k)
		}
	}
	for k, is := range have {
		if j := l.jobs[k]; j != nil {
			j.row = is
		} else {
			l.jobs[k] = &job[R]{row: is}
		}
	}
}

func (l *Loop[R]) equal(want, have R) bool {
	if s, ok := l.Sink.(interface{ Equal(want, have R) bool }); ok {
		return s.Equal(want, have)
	}
	return l.Table.Equal(want, have)
}

// delay grows with the number of failures in a row: between half and the whole of Backoff, doubled each time.
func (l *Loop[R]) delay(failures int) time.Duration {
	d := l.Backoff
	for range failures - 1 {
		if d *= 2; d >= l.MaxBackoff {
			d = l.MaxBackoff
			break
		}
	}
	return d/2 + rand.N(d/2+1)
}
