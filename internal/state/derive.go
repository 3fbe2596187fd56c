package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"weftnet.io/weftnet/internal/state/bell"
)

// Derivation keeps Out equal to a pure function of other tables. It follows the inputs, finds the keys that a changed
// row touches, computes the rows of those keys anew and writes what differs: one transaction per pass, and none if
// nothing differs. What Out holds depends on what the inputs hold and on nothing else: not on the order of changes, not on
// what was there in between, not on when the derivation started.
//
// That holds if what Compute returns depends on its arguments alone, and if whatever a row contributes to Compute(key)
// makes On name that key.
type Derivation[R Row] struct {
	Name   string
	Out    *Table[R]
	Inputs []Input // built with On

	// KeyOf is the derivation key that owns a row of Out: the key for which Compute made it.
	KeyOf func(R) Key

	// Compute returns all rows of Out that key owns. It may read any input, in a snapshot that is the same for all keys
	// of a pass. Two keys should not make a row with the same key in Out; if they do, the row of the smaller one stands.
	Compute func(r Reader, key Key) []R

	// Begin, if there is one, runs before the first pass over a database, and again when Run begins anew. What Compute and the
	// functions of On remember to spare themselves work is forgotten there.
	Begin func()

	// Partial says that others fill Out too. It is then synced when all of them are: name them with Table.MadeBy. A
	// derivation that is not Partial owns Out, and removes rows that nothing accounts for once the inputs are synced.
	Partial bool

	db     *DB
	feeds  []inputFeed
	woken  *bell.Bell
	rung   chan struct{} // who runs it waits for that; nil: no loop does
	last   *Snapshot     // up to which the inputs have been followed
	rows   map[Key][]Key // derivation key -> Out keys it makes, sorted
	makers map[Key][]Key // Out key -> derivation keys that make it, sorted; more than one is a conflict
	stale  map[Key]bool  // derivation keys to compute once the inputs are synced, since no feed told what became of them
	synced bool

	done atomic.Pointer[Snapshot] // what follows from the inputs as they are here is in Out
}

// AnyDerivation is a derivation whose row type does not matter: what an agent runs and tests step through.
type AnyDerivation interface {
	Run(ctx context.Context, db *DB) error
	Step(db *DB) (changed bool)
	CaughtUp(s *Snapshot) bool
	wakes(rung chan struct{})
	woke() bool
	close()
}

// Input is a table that a derivation follows.
type Input struct {
	table AnyTable
	open  func(db *DB) inputFeed
}

type inputFeed interface {
	touched(before, now *Snapshot, touch func(Key)) // follows the table to now
	close()
}

// On makes a table an input. keys names the derivation keys that a row of it has a part in. It is called for the new
// version of a changed row, and for the old one with the snapshot in which that was followed; keys may read other inputs.
func On[I Row](t *Table[I], keys func(r Reader, row I) []Key) Input {
	return Input{t, func(db *DB) inputFeed { return &feedOf[I]{t.Feed(db), keys} }}
}

type feedOf[I Row] struct {
	feed *Feed[I]
	keys func(r Reader, row I) []Key
}

func (f *feedOf[I]) touched(before, now *Snapshot, touch func(Key)) {
	f.feed.each(now, func(c Change[I], _ uint64) {
		if c.HadOld {
			for _, k := range f.keys(before, c.Old) {
				touch(k)
			}
		}
		if !c.Deleted {
			for _, k := range f.keys(now, c.Row) {
				touch(k)
			}
		}
	})
}

func (f *feedOf[I]) close() { f.feed.Close() }

// Run keeps Out up to date until ctx ends, and returns its error. It marks Out synced in the pass in which it has seen
// all inputs synced.
func (d *Derivation[R]) Run(ctx context.Context, db *DB) error { return Together(ctx, db, d) }

// Together runs derivations as Run does, on one goroutine, which does what is to be done for each in the order of the list: where what one
// writes is read by those after it, these have less to do than if each followed at once.
func Together(ctx context.Context, db *DB, list ...AnyDerivation) error {
	rung := make(chan struct{}, 1)
	for _, d := range list {
		d.wakes(rung)
		defer d.close()
	}
	for ctx.Err() == nil {
		idle := true
		for _, d := range list {
			if d.woke() {
				d.Step(db)
				idle = false
			}
		}
		if idle {
			select {
			case <-ctx.Done():
			case <-rung:
			}
		}
	}
	return ctx.Err()
}

// Step makes one pass over what has changed since the last and tells whether it changed Out.
func (d *Derivation[R]) Step(db *DB) (changed bool) {
	d.openFeeds(db)
	now := db.Snapshot()
	touched := map[Key]bool{}
	for _, f := range d.feeds {
		f.touched(d.last, now, func(k Key) { touched[k] = true })
	}
	d.last = now
	synced := d.inputsSynced(now)
	if synced && !d.synced {
		maps.Copy(touched, d.stale)
		d.stale = nil
	}
	markSynced := synced && !d.synced
	if len(touched) == 0 && !markSynced {
		d.done.Store(now)
		return false
	}
	put, gone := d.compute(now, touched)
	if len(put) > 0 || len(gone) > 0 || markSynced {
		must(db.Write(func(tx *Tx) error {
			before := tx.rev
			for _, k := range gone {
				d.Out.Delete(tx, k)
			}
			for _, r := range put {
				d.Out.Put(tx, r)
			}
			if changed = tx.rev != before; markSynced {
				d.markSynced(tx)
			}
			return nil
		}))
	}
	d.synced = synced
	d.done.Store(now)
	return changed
}

// CaughtUp tells whether Out holds, in s or in what was written while you asked, all that follows from the inputs as s
// has them. When everyone has caught up with a snapshot and it is still the latest, nothing more follows from it.
func (d *Derivation[R]) CaughtUp(s *Snapshot) bool {
	done := d.done.Load()
	if done == nil || done.db != s.db {
		return false
	}
	for _, in := range d.Inputs {
		if in.table.WatchAll(done) != in.table.WatchAll(s) { // a version of a table has a channel of its own
			return false
		}
	}
	return true
}

// made is a row and the derivation key that makes it.
type made[R Row] struct {
	maker Key
	row   R
}

// compute evaluates the touched keys, and those they quarrel with, and returns what to put and delete.
func (d *Derivation[R]) compute(now *Snapshot, touched map[Key]bool) (put []R, gone []Key) {
	affected := map[Key]*made[R]{} // Out keys that were or are made by a computed key; nil: not in this pass
	todo := slices.Sorted(maps.Keys(touched))
	for len(todo) > 0 {
		for _, owner := range todo {
			for _, k := range d.rows[owner] {
				if _, known := affected[k]; !known {
					affected[k] = nil
				}
			}
			d.own(now, owner, affected)
		}
		todo = nil
		for k := range affected {
			for _, owner := range d.makers[k] {
				if !touched[owner] {
					touched[owner] = true
					todo = append(todo, owner)
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(affected)) {
		if len(d.makers[k]) > 0 {
			put = append(put, affected[k].row) // that of the least maker: all have been computed
		} else {
			gone = append(gone, k)
		}
	}
	return put, gone
}

// own computes the rows of one owner, files who makes what, and notes of each row that of its least maker.
func (d *Derivation[R]) own(now *Snapshot, owner Key, affected map[Key]*made[R]) {
	rows := d.Compute(now, owner)
	keys := make([]Key, len(rows))
	for i, r := range rows {
		if k := d.KeyOf(r); k != owner {
			panic(fmt.Sprintf("derivation %s: Compute(%s) made a row that KeyOf says belongs to %s: %v", d.Name, owner, k, r.Row()))
		}
		keys[i] = d.Out.Key(r)
		if m := affected[keys[i]]; m == nil || owner <= m.maker {
			affected[keys[i]] = &made[R]{owner, r}
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	was := d.rows[owner]
	if slices.Equal(was, keys) {
		return
	}
	for _, k := range was {
		if _, still := slices.BinarySearch(keys, k); !still {
			d.makers[k] = slices.DeleteFunc(slices.Clone(d.makers[k]), func(m Key) bool { return m == owner })
			if len(d.makers[k]) == 0 {
				delete(d.makers, k)
			}
		}
	}
	for _, k := range keys {
		if at, had := slices.BinarySearch(d.makers[k], owner); !had {
			d.makers[k] = slices.Insert(slices.Clone(d.makers[k]), at, owner)
		}
	}
	d.rows[owner] = keys
	if len(keys) == 0 {
		delete(d.rows, owner)
	}
}

// openFeeds begins to follow the inputs of db. Rows that an earlier run made are computed again once the inputs are
// synced, since what they were made of may have gone unseen.
func (d *Derivation[R]) openFeeds(db *DB) {
	if d.feeds != nil && d.db == db {
		return
	}
	d.check()
	if d.Begin != nil {
		d.Begin()
	}
	if d.db != db {
		d.db, d.rows, d.makers = db, map[Key][]Key{}, map[Key][]Key{}
	}
	if !d.Partial {
		for r := range d.Out.All(db.Snapshot()) {
			d.adopt(d.KeyOf(r), d.Out.Key(r))
		}
	}
	d.close()
	d.feeds, d.synced, d.stale = []inputFeed{}, false, map[Key]bool{}
	for owner := range d.rows {
		d.stale[owner] = true
	}
	d.last = db.Snapshot()
	var at []int
	for _, in := range d.Inputs {
		d.feeds, at = append(d.feeds, in.open(db)), append(at, db.position(in.table.shape()))
	}
	d.woken = db.bells.Hang(d.rung, at...) // before Step reads the inputs
}

// adopt takes responsibility for a row found in Out.
func (d *Derivation[R]) adopt(owner, key Key) {
	if len(d.makers[key]) == 0 {
		d.makers[key] = []Key{owner}
		d.rows[owner] = append(d.rows[owner], key)
	}
}

func (d *Derivation[R]) check() {
	for _, in := range d.Inputs {
		if in.table.shape() == d.Out.shape() {
			panic(fmt.Sprintf("derivation %s: %s is both input and output: what it holds would depend on the past", d.Name, d.Out.Name()))
		}
	}
	if d.Partial && !slices.Contains(d.Out.schema.producers, d.Name) {
		panic(fmt.Sprintf("derivation %s: it is Partial, but table %s is not declared as made by it: name %q in MadeBy where "+
			"the table is defined, or the table could count as synced before that part of it is there", d.Name, d.Out.Name(), d.Name))
	}
}

func (d *Derivation[R]) inputsSynced(s *Snapshot) bool {
	return !slices.ContainsFunc(d.Inputs, func(in Input) bool { return !in.table.Synced(s) })
}

func (d *Derivation[R]) markSynced(tx *Tx) {
	if d.Partial {
		d.Out.MarkSyncedBy(tx, d.Name)
	} else {
		d.Out.MarkSynced(tx)
	}
}

func (d *Derivation[R]) wakes(rung chan struct{}) { d.rung = rung }

// woke tells, once, that an input may no longer be as Step has seen it.
func (d *Derivation[R]) woke() bool { return d.feeds == nil || d.woken.Heard() }

func (d *Derivation[R]) close() {
	for _, f := range d.feeds {
		f.close()
	}
	if d.feeds = nil; d.woken != nil {
		d.woken.Close()
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
