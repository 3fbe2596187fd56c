package reconcile

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// others is what a sink has heard that others may have done.
type others[R state.Row] struct {
	told chan struct{} // has one while there is something in have

	times  int // that rows were put back since that was said last
	saidAt time.Time

	mu   sync.Mutex
	have map[state.Key]*R // what is there now; nil: gone, or not what it was
}

// watcher is a sink that hears of what others do.
type watcher[R state.Row] interface {
	Watch(ctx context.Context, changed func(key state.Key, have *R)) error
}

// listen begins to watch, if the sink can. The returned function ends that.
func (l *Loop[R]) listen(ctx context.Context) (stop func()) {
	l.others.told, l.others.have = make(chan struct{}, 1), map[state.Key]*R{}
	w, ok := l.Sink.(watcher[R])
	if !ok {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := w.Watch(ctx, l.others.changed); err != nil && ctx.Err() == nil {
			l.Log.Warn("what others change is not seen before the next comparison", "table", l.Table.Name(), "every", l.Every, "error", err)
		}
	}()
	return func() { cancel(); <-over }
}

func (o *others[R]) changed(key state.Key, have *R) {
	o.mu.Lock()
	if before, waits := o.have[key]; !waits || before != nil {
		o.have[key] = have
	}
	o.mu.Unlock()
	select {
	case o.told <- struct{}{}:
	default:
	}
}

func (o *others[R]) take() map[state.Key]*R {
	o.mu.Lock()
	defer o.mu.Unlock()
	have := o.have
	if len(have) > 0 {
		o.have = map[state.Key]*R{}
	}
	return have
}

// restore makes jobs of rows that others have changed. A change of the loop's own leaves what is wanted, and is none of
// these. A row that waits for a retry keeps its backoff.
func (l *Loop[R]) restore(s *state.Snapshot) {
	var again []string
	changed := l.others.take()
	for _, k := range slices.Sorted(maps.Keys(changed)) {
		if k == "" {
			l.compareAt = time.Time{}
			continue
		}
		want, ok := l.Table.One(s, k)
		if have := changed[k]; !ok || l.jobs[k] != nil || have != nil && l.equal(want, *have) {
			continue
		}
		l.jobs[k] = &job[R]{row: want, rev: l.Table.Revision(s, k)}
		again = append(again, k.String())
	}
	if later := time.Now().Add(lookAgain); len(again) > 0 && later.Before(l.compareAt) {
		l.compareAt = later
	}
	l.putBack(again)
}

// lookAgain is when everything is compared after another program has changed something: one that does that changes more, and not of all
// does the kernel tell.
const lookAgain = 3 * time.Second

// tellEvery is the time between two lines about what others change: a network manager that is at it repeats it all day.
const tellEvery = time.Minute

// putBack tells of rows that were in place, are not, and will be.
func (l *Loop[R]) putBack(rows []string) {
	l.others.times += len(rows)
	if now := time.Now(); len(rows) > 0 && now.Sub(l.others.saidAt) >= tellEvery {
		l.Log.Warn("another program has changed what is the agent's: it is put back", "table", l.Table.Name(), "times", l.others.times, slog.Group("first", "row", rows[0]))
		l.others.times, l.others.saidAt = 0, now
	}
}

// wasInPlace tells whether this version of a row has been put in place.
func (l *Loop[R]) wasInPlace(s *state.Snapshot, k state.Key) bool {
	return status.Realised(s, l.Table, k)
}
