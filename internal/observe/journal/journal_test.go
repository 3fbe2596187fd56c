package journal

import (
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
