// Package loss follows how many events the kernel has held back, or had no room for, while an agent ran and while none did.
//
// # The world it models
//
//	programs --+--> ring buffer, which waits for the next agent while none runs
//	           +--> a counter of what is lost --asked every second--> so many, between then and now: news for all who read flows
//	                                           \--noted in the state folder--> the next agent, which tells what was lost between
//
// # Invariants
//
//   - Each event that the counter counts is told, with a time in which it was lost.
//   - What is noted was told at least a second before: an agent that is killed takes news with it that its clients have not heard yet.
//     So some may be told twice, by an agent and by its successor, and none never.
//   - Nothing is told of what was lost before the first agent noted anything, or before the machine booted.
//
// # Example
//
//	w := loss.Watch{Count: …, Notes: journal.Dir[loss.Note]{Path: "/var/lib/weft/events"}, Boot: boot, Now: time.Now, Log: log}
//	w.Run(ctx, func(n uint64, first, last time.Time) { … })
package loss

import (
	"context"
	"log/slog"
	"time"

	"weftnet.io/weftnet/internal/journal"
)

// Note is how many were told, at a time.
type Note struct {
	Boot string
	Lost uint64
	At   time.Time
}

// Watch asks a counter. All of it is set.
type Watch struct {
	Count func() (uint64, error) // since it was made, which is after the machine booted
	Notes journal.Dir[Note]      // without a path nothing is noted
	Boot  string
	Now   func() time.Time
	Log   *slog.Logger
}

const (
	every = time.Second
	fresh = time.Minute // how old a note may be that is true: it says when a loss began at the earliest
	name  = "lost"
)

// Run asks every second until ctx ends.
func (w Watch) Run(ctx context.Context, tell func(number uint64, first, last time.Time)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	noted := w.noted()
	told := noted
	counting, warned := false, false
	for ctx.Err() == nil {
		switch total, err := w.Count(); {
		case err != nil && !warned:
			w.Log.Warn("how many events the datapath holds back is not known", "error", err)
			warned = true
		case err != nil:
		default:
			before, now := told, Note{w.Boot, total, w.Now()}
			if !counting && (before.At.IsZero() || total < before.Lost) { // no agent has noted anything, or the counter is another
				before = now
			}
			if counting = true; total > before.Lost {
				tell(total-before.Lost, before.At, now.At)
			}
			if told = now; before.Lost != noted.Lost || before.At.Sub(noted.At) >= fresh {
				noted = before
				w.note(before)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// noted is what was noted last, since the machine booted; zero: nothing.
func (w Watch) noted() Note {
	if w.Notes.Path == "" {
		return Note{}
	}
	all, damaged, err := w.Notes.All()
	if err != nil || len(damaged) > 0 {
		w.Log.Warn("how many lost events were told is not known: what was lost while no agent ran is not told", "error", err, "damaged", damaged)
	}
	for _, r := range all {
		if r.Name == name && r.Value.Boot == w.Boot {
			return r.Value
		}
	}
	return Note{}
}

func (w Watch) note(n Note) {
	if w.Notes.Path == "" {
		return
	}
	if err := w.Notes.Put(name, n); err != nil {
		w.Log.Warn("the next agent will not know which lost events were told", "error", err)
	}
}
