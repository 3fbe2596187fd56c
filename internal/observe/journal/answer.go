package journal

import (
	"context"
	"slices"
	"time"
)

// Range is which items are asked for. The zero Range asks for all that are kept.
type Range struct {
	Number       uint64 // the last ones, or with First the first; 0: no limit
	First        bool
	Follow       bool      // those to come, too
	Since, Until time.Time // zero: no bound
}

// Reader is who asks. A nil function of those that return bool takes all items.
type Reader[T any] struct {
	Wants  func(*T) bool
	Counts func(*T) bool // as one of Range.Number
	Send   func(*T) error
	Missed func(n uint64) error // it was too slow for so many
	Now    func() time.Time
}

func (r Reader[T]) counts(item *T) bool { return r.Counts == nil || r.Counts(item) }

// request is one that is being answered.
type request[T any, P Item[T]] struct {
	Range
	Reader[T]
	journal *Journal[T, P]
}

// Answer sends what is asked for, and with Follow what comes after it until ctx or the time ends.
func (j *Journal[T, P]) Answer(ctx context.Context, r Range, reader Reader[T]) error {
	q := request[T, P]{r, reader, j}
	oldest, next := j.Kept()
	switch {
	case q.Number > 0 && !q.First:
		for _, item := range q.last(oldest, next) {
			if err := q.Send(item); err != nil {
				return err
			}
		}
	case q.Follow && q.Since.IsZero():
		// nothing of the past was asked for
	default:
		if q.resumes() {
			oldest, next = j.last(len(j.ring))
			if n := q.overwritten(oldest); n > 0 {
				if err := q.Missed(n); err != nil {
					return err
				}
			}
		}
		if done, err := q.forward(oldest, next); done || err != nil {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	return q.follow(ctx, next)
}

// resumes tells whether all from a time on is asked for, and what comes: by a reader that was away. It may have as much as one that reads
// all the time may fall behind, and is told if that is less than it missed.
func (q request[T, P]) resumes() bool { return q.Follow && q.Number == 0 && !q.Since.IsZero() }

// overwritten is how many items since the time that is asked for are gone: exactly if all of them were put since then, else it is not known,
// and one stands for them.
func (q request[T, P]) overwritten(oldest uint64) uint64 {
	item := q.journal.Find(oldest)
	switch {
	case oldest == 0, item != nil && !P(item).entry().At.After(q.Since):
		return 0
	case q.journal.began.Load() >= q.Since.UnixNano():
		return oldest
	}
	return 1
}

func (q request[T, P]) takes(item *T) bool {
	at := P(item).entry().At
	if !q.Since.IsZero() && at.Before(q.Since) || !q.Until.IsZero() && at.After(q.Until) {
		return false
	}
	return q.Wants == nil || q.Wants(item)
}

// last finds the last items, and what does not count between them, in the order in which they came.
func (q request[T, P]) last(oldest, next uint64) []*T {
	var (
		found   []*T
		counted uint64
	)
	for n := next; n > oldest && counted < q.Number; n-- {
		item := q.journal.Find(n - 1)
		if item == nil {
			break // overwritten while we looked, as is all that is older
		}
		if !q.takes(item) {
			continue
		}
		if q.counts(item) {
			counted++
		}
		found = append(found, item)
	}
	slices.Reverse(found)
	return found
}

// forward sends from the oldest on; done tells that the request is answered.
func (q request[T, P]) forward(oldest, next uint64) (done bool, err error) {
	var sent, gone uint64
	for n := oldest; n < next; n++ {
		item := q.journal.Find(n)
		if item == nil {
			gone++ // overwritten while the client took its time
			continue
		}
		if gone > 0 {
			if err := q.Missed(gone); err != nil {
				return true, err
			}
			gone = 0
		}
		if !q.takes(item) {
			continue
		}
		if err := q.Send(item); err != nil {
			return true, err
		}
		if q.counts(item) {
			sent++
		}
		if q.Number > 0 && sent == q.Number {
			return true, nil
		}
	}
	if gone > 0 {
		return false, q.Missed(gone)
	}
	return false, nil
}

// follow sends what comes, until the client leaves or time Until is over.
func (q request[T, P]) follow(ctx context.Context, next uint64) error {
	var over <-chan time.Time
	if !q.Until.IsZero() {
		timer := time.NewTimer(q.Until.Sub(q.Now()))
		defer timer.Stop()
		over = timer.C
	}
	place := &Cursor[T, P]{q.journal, q.journal.kept, next}
	for {
		select {
		case <-ctx.Done():
			return nil // the client knows best why
		case <-over:
			return nil
		case <-place.Wait():
		}
		err := place.Read(func(item *T) error {
			if !q.takes(item) {
				return nil
			}
			return q.Send(item)
		}, q.Missed)
		if err != nil {
			return err
		}
	}
}
