package state

import (
	"iter"
	"sync"
)

// watched is what a reader may wait for: a row, or what an index files under a key.
type watched struct {
	t     *schema
	index int // -1: the row with this key
	key   Key
}

// watches are the channels of those who wait: few beside the rows, which is why no row has one of its own.
type watches struct {
	mu      sync.Mutex
	waiting map[watched]chan struct{}
}

var over = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// on is a channel that closes when what is watched changes after a snapshot: at once if it has, as far as changed can
// tell, by the latest one.
func (w *watches) on(what watched, changed func() bool) <-chan struct{} {
	w.mu.Lock()
	c := w.waiting[what]
	if c == nil {
		c = make(chan struct{})
		if w.waiting == nil {
			w.waiting = map[watched]chan struct{}{}
		}
		w.waiting[what] = c
	}
	w.mu.Unlock()
	if changed() { // asked after the channel is known: a commit in between either shows here or closes it
		return over
	}
	return c
}

func (w *watches) wake(changed []watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return
	}
	for _, what := range changed {
		if c, ok := w.waiting[what]; ok {
			close(c)
			delete(w.waiting, what)
		}
	}
}

// WatchOne is One with a channel that closes when the answer may have changed.
func (t *Table[R]) WatchOne(r *Snapshot, key Key) (R, bool, <-chan struct{}) {
	o, ok := r.find(&t.schema, key)
	row, ok := t.row(o, ok)
	return row, ok, r.db.watches.on(watched{&t.schema, -1, key}, func() bool {
		now, _ := r.db.Snapshot().find(&t.schema, key)
		return now != o
	})
}

// WatchAll closes on any change of the table, its synced mark included.
func (t *Table[R]) WatchAll(r *Snapshot) <-chan struct{} { return r.of(&t.schema).changed }

// WatchBy is By with a channel that closes when the answer may have changed.
func (t *Table[R]) WatchBy(r *Snapshot, index string, key Key) (iter.Seq[R], <-chan struct{}) {
	i := t.schema.index(index)
	return t.By(r, index, key), r.db.watches.on(watched{&t.schema, i, key}, func() bool {
		return r.db.Snapshot().of(&t.schema).rev != r.of(&t.schema).rev
	})
}
