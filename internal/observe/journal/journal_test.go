package journal

import (
	"context"
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type item struct{ Entry }

func at(i int) *item { return &item{Entry{At: epoch.Add(time.Duration(i))}} }

func TestTheJournalKeepsTheLast(t *testing.T) {
	j := New[item](Queue + 3)
	for i := range Queue + 5 {
		j.Put(at(i))
	}
	if oldest, next := j.Kept(); oldest != 2 || next != Queue+5 {
		t.Errorf("have %d to %d", oldest, next)
	}
	if j.Find(1) != nil || j.Find(Queue+5) != nil || j.Find(2) == nil || j.Find(4).At != epoch.Add(4) {
		t.Error("an item is not where it should be")
	}
	more := j.wait(Queue + 5)
	select {
	case <-more:
		t.Error("the next item is not there yet")
	default:
	}
	j.Put(at(0))
	j.Wake()
	<-more
	<-j.wait(Queue + 5)
}

func TestReadersNeverSeeAnotherItem(t *testing.T) {
	j := New[item](0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 5 * Queue {
			j.Put(at(i))
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		oldest, next := j.last(Queue)
		for n := oldest; n < next; n++ {
			if f := j.Find(n); f != nil && (f.number != n || f.At != epoch.Add(time.Duration(n))) {
				t.Fatalf("item %d is %v", n, f.At)
			}
		}
	}
}

func TestWhoComesBackIsToldWhatIsGone(t *testing.T) {
	at := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	for _, c := range []struct {
		put   int
		since time.Time
		sent  int
		gone  uint64
	}{
		{Queue, at(0), Queue, 0},               // more than are shown otherwise
		{Queue + 5, at(5), Queue, 0},           // all of them
		{Queue + 5, at(0), Queue, 5},           // since before the first one
		{Queue + 5, at(0).Add(-1e9), Queue, 5}, // the same
		{Queue + 5, at(2), Queue, 1},           // some: how many is not known
		{Queue + 5, at(Queue + 1), 4, 0},       // of late
	} {
		j := New[item](10)
		for n := range c.put {
			j.Put(&item{Entry: Entry{At: at(n)}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		sent, gone := 0, uint64(0)
		cancel() // what is there is sent in any case
		err := j.Answer(ctx, Range{Follow: true, Since: c.since}, Reader[item]{
			Send: func(*item) error { sent++; return nil }, Missed: func(n uint64) error { gone += n; return nil }, Now: time.Now,
		})
		if err != nil || sent != c.sent || gone != c.gone {
			t.Errorf("%d put, since %v: have %d and miss %d, want %d and %d: %v", c.put, c.since.Unix(), sent, gone, c.sent, c.gone, err)
		}
	}
}
