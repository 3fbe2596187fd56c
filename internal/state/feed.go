package state

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// Change is how one row differs from what the feed delivered of it before.
type Change[R Row] struct {
	Key     Key
	Row     R // as it is now; as it was, if Deleted
	Old     R // what this feed delivered last, if HadOld
	HadOld  bool
	Deleted bool
}

// Feed tells what has changed in a table, deletions included, beginning with everything that is there. It is used by
// one goroutine. While it is open the table remembers what was deleted since its last Next: Close it when done.
type Feed[R Row] struct {
	t    *Table[R]
	db   *DB
	seen *contents // what was delivered so far is exactly what this holds; nil at first
	read *atomic.Uint64
}

// Feed begins a change feed.
func (t *Table[R]) Feed(db *DB) *Feed[R] {
	i := db.position(&t.schema)
	db.feeds.Lock()
	defer db.feeds.Unlock()
	f := &Feed[R]{t: t, db: db, read: new(atomic.Uint64)}
	f.read.Store(db.latest.Load().rev) // what died before was never delivered
	db.cursors[i][f.read] = struct{}{}
	return f
}

// Next returns what changed since the last call, the snapshot up to which that is, and a channel that closes on the
// next change of the table (its synced mark included). It never blocks. The order is that of the last change of each row.
func (f *Feed[R]) Next() (changes []Change[R], s *Snapshot, more <-chan struct{}) {
	s = f.db.Snapshot()
	return f.until(s), s, f.t.WatchAll(s)
}

// until returns what changed up to a snapshot that is no older than the one before.
func (f *Feed[R]) until(s *Snapshot) (changes []Change[R]) {
	var revs []uint64
	live := 0
	f.each(s, func(c Change[R], rev uint64) {
		changes, revs = append(changes, c), append(revs, rev)
		if !c.Deleted {
			live++
		}
	})
	return merge(changes, revs, live)
}

// each is until, a change at a time: first those of rows that are there, then deletions, each in order.
func (f *Feed[R]) each(s *Snapshot, yield func(c Change[R], rev uint64)) {
	before, now := f.seen, s.of(&f.t.schema)
	var since uint64
	if before != nil {
		since = before.rev
	}
	f.seen = now
	if since == now.rev && before != nil {
		return
	}
	for o := range now.log.since(since) {
		c := Change[R]{Key: o.key, Row: o.row.(R)}
		if before != nil {
			old, ok := before.rows.get(o.key)
			c.Old, c.HadOld = f.t.row(old, ok)
		}
		yield(c, o.rev)
	}
	if before != nil && now.deleted.Len() > 0 {
		for o := range now.deleted.since(since) {
			if old, ok := before.rows.get(o.key); ok {
				row := old.row.(R)
				yield(Change[R]{Key: o.key, Row: row, Old: row, HadOld: true, Deleted: true}, o.rev)
			}
		}
	}
	f.read.Store(now.rev)
}

// merge puts the deletions, which begin at live, between the other changes by revision.
func merge[R Row](changes []Change[R], revs []uint64, live int) []Change[R] {
	if live == len(changes) || live == 0 {
		return changes
	}
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(revs[a], revs[b]) })
	out := make([]Change[R], 0, len(changes))
	for _, i := range order {
		out = append(out, changes[i])
	}
	return out
}

// Close ends the feed.
func (f *Feed[R]) Close() {
	f.db.feeds.Lock()
	defer f.db.feeds.Unlock()
	delete(f.db.cursors[f.db.position(&f.t.schema)], f.read)
}
