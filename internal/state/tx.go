package state

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"weftnet.io/weftnet/internal/state/bell"
)

// DB holds the rows of a fixed set of tables.
type DB struct {
	tables []AnyTable
	at     map[*schema]int // position in tables

	writer sync.Mutex // held by the one Write that runs
	open   []*tableTx // of that, by position in tables; nil: not opened
	latest atomic.Pointer[Snapshot]

	feeds   sync.Mutex                    // guards cursors, and a change of latest, so that a new cursor begins at a known place
	cursors []map[*atomic.Uint64]struct{} // per table: the revision up to which each feed has read

	watches watches
	bells   bell.Bells // by position in tables
}

// Snapshot is the whole database at one moment. It never changes and needs no closing.
type Snapshot struct {
	db     *DB
	rev    uint64
	tables []*contents
}

// contents is what one table holds at one moment.
type contents struct {
	rev          uint64   // of the last change
	rows         tree     // by key
	indexes      []tree   // by index key and row key
	log          log      // rows by revision: what a feed reads
	deleted      log      // deleted rows by revision, until all feeds have read past them
	deletedByKey tree     // the same by key
	pending      []string // producers that have not synced yet
	synced       bool
	changed      chan struct{} // closes when any of this is replaced
}

// New makes a database of these tables.
func New(tables ...AnyTable) *DB {
	db := &DB{tables: tables, at: make(map[*schema]int, len(tables))}
	s := &Snapshot{db: db}
	names := map[string]bool{}
	for i, t := range tables {
		if names[t.Name()] {
			panic(fmt.Sprintf("state.New: two tables are named %q", t.Name()))
		}
		names[t.Name()] = true
		sc := t.shape()
		db.at[sc] = i
		c := &contents{
			rows: newTree(), log: newLog(), deleted: newLog(), deletedByKey: newTree(),
			pending: sc.producers, changed: make(chan struct{}),
		}
		for range sc.indexes {
			c.indexes = append(c.indexes, newTree())
		}
		s.tables = append(s.tables, c)
		db.cursors = append(db.cursors, map[*atomic.Uint64]struct{}{})
	}
	db.open = make([]*tableTx, len(tables))
	db.latest.Store(s)
	return db
}

// Tables are the tables of the database, in the order they were given to New.
func (db *DB) Tables() []AnyTable { return slices.Clone(db.tables) }

// Table finds a table by its name.
func (db *DB) Table(name string) (AnyTable, bool) {
	for _, t := range db.tables {
		if t.Name() == name {
			return t, true
		}
	}
	return nil, false
}

// Snapshot is the database as it is now.
func (db *DB) Snapshot() *Snapshot { return db.latest.Load() }

func (db *DB) position(t *schema) int {
	i, ok := db.at[t]
	if !ok {
		panic(fmt.Sprintf("state: table %s is not in this database: pass it to state.New", t.name))
	}
	return i
}

// Write runs a transaction: all of what fn does becomes visible at once when it returns nil, and none of it if it
// returns an error (which Write returns) or panics. Transactions run one after the other; fn must not call Write, and
// should not wait for anything.
func (db *DB) Write(fn func(tx *Tx) error) error {
	db.writer.Lock()
	defer db.writer.Unlock()
	base := db.latest.Load()
	tx := &Tx{base: base, rev: base.rev, open: db.open}
	defer func() { tx.ended = true; clear(db.open) }()
	if err := fn(tx); err != nil {
		return err
	}
	tx.commit()
	return nil
}

// Tx is a transaction in progress. It is valid only inside the function given to Write.
type Tx struct {
	base  *Snapshot
	rev   uint64
	open  []*tableTx
	ended bool
}

// tableTx is one table as a transaction has changed it.
type tableTx struct {
	base               *contents
	rows, deletedByKey tree
	log, deleted       log
	indexes            []tree
	pending            []string
	synced             bool
	rev                uint64 // of the last change; base.rev if there was none
	dirty              bool
	changed            []watched
}

// table opens a table for writing. That copies a node of each of its trees with the first write, so what only reads, or
// writes what is there already, does without.
func (tx *Tx) table(t *schema) *tableTx {
	if w := tx.written(t); w != nil {
		return w
	}
	i := tx.base.db.position(t)
	c := tx.base.tables[i]
	w := &tableTx{
		base: c, rows: c.rows.copy(), log: c.log.copy(), deleted: c.deleted.copy(), deletedByKey: c.deletedByKey.copy(),
		pending: c.pending, synced: c.synced, rev: c.rev,
	}
	for _, ix := range c.indexes {
		w.indexes = append(w.indexes, ix.copy())
	}
	tx.open[i] = w
	return w
}

// touch gives the next revision to a change of w.
func (tx *Tx) touch(w *tableTx) uint64 {
	tx.rev++
	w.rev, w.dirty = tx.rev, true
	return tx.rev
}

func (tx *Tx) put(t *schema, key Key, row Row) {
	old, had := tx.find(t, key)
	if had && t.equal(old.row, row) {
		return
	}
	w := tx.table(t)
	o := &object{key: key, rev: tx.touch(w), row: row}
	w.rows.put(key, o)
	w.log.ReplaceOrInsert(o)
	w.changed = append(w.changed, watched{t, -1, key})
	if had {
		w.log.Delete(old)
	} else if w.deletedByKey.Len() > 0 {
		w.setTombstone(key, nil)
	}
	for i, ix := range t.indexes {
		keys := ix.keys(row)
		if had {
			for _, k := range without(ix.keys(old.row), keys) {
				w.indexes[i].remove(indexKey(k, key))
				w.changed = append(w.changed, watched{t, i, k})
			}
		}
		for _, k := range keys {
			w.indexes[i].put(indexKey(k, key), o)
			w.changed = append(w.changed, watched{t, i, k})
		}
	}
}

// without lists the keys that are not among others. Rows with thousands of keys are few, but there are some.
func without(keys, others []Key) (list []Key) {
	if slices.Equal(keys, others) {
		return nil
	}
	among := func(k Key) bool { return slices.Contains(others, k) }
	if len(others) > 16 {
		set := make(map[Key]bool, len(others))
		for _, k := range others {
			set[k] = true
		}
		among = func(k Key) bool { return set[k] }
	}
	return slices.DeleteFunc(slices.Clone(keys), among)
}

func (tx *Tx) delete(t *schema, key Key) (*object, bool) {
	old, had := tx.find(t, key)
	if !had {
		return nil, false
	}
	w := tx.table(t)
	w.rows.remove(key)
	w.log.Delete(old)
	w.changed = append(w.changed, watched{t, -1, key})
	for i, ix := range t.indexes {
		for _, k := range ix.keys(old.row) {
			w.indexes[i].remove(indexKey(k, key))
			w.changed = append(w.changed, watched{t, i, k})
		}
	}
	w.setTombstone(key, &object{key: key, rev: tx.touch(w), row: old.row})
	return old, true
}

// setTombstone replaces the tombstone that a key may have. With nil it has none any more: its row is there again.
func (w *tableTx) setTombstone(key Key, tombstone *object) {
	if old, ok := w.deletedByKey.remove(key); ok {
		w.deleted.Delete(old)
	}
	if tombstone != nil {
		w.deleted.ReplaceOrInsert(tombstone)
		w.deletedByKey.put(key, tombstone)
	}
}

// collect removes the tombstones that every feed has read past.
func (w *tableTx) collect(read uint64) {
	for o := range w.deleted.copy().since(0) {
		if o.rev > read {
			return
		}
		w.setTombstone(o.key, nil)
	}
}

func (tx *Tx) markSynced(t *schema, producers ...string) {
	if tx.stat(t).synced {
		return
	}
	w := tx.table(t)
	w.pending = slices.DeleteFunc(slices.Clone(w.pending), func(p string) bool { return slices.Contains(producers, p) })
	w.synced, w.dirty = len(w.pending) == 0, true
}

// commit makes the transaction visible and then wakes those who wait. No lock is held while channels close.
func (tx *Tx) commit() {
	db := tx.base.db
	if !slices.ContainsFunc(tx.open, func(w *tableTx) bool { return w != nil && w.dirty }) {
		return
	}
	next := &Snapshot{db: db, rev: tx.rev, tables: slices.Clone(tx.base.tables)}
	var dirty []int
	db.feeds.Lock()
	for i, w := range tx.open {
		if w == nil || !w.dirty {
			continue
		}
		read := w.rev
		for c := range db.cursors[i] {
			read = min(read, c.Load())
		}
		if w.deleted.Len() > 0 {
			w.collect(read)
		}
		next.tables[i] = &contents{
			rev: w.rev, rows: w.rows, indexes: w.indexes, log: w.log, deleted: w.deleted, deletedByKey: w.deletedByKey,
			pending: w.pending, synced: w.synced, changed: make(chan struct{}),
		}
		dirty = append(dirty, i)
	}
	db.latest.Store(next)
	db.feeds.Unlock()
	for _, i := range dirty {
		db.watches.wake(tx.open[i].changed)
		close(tx.open[i].base.changed)
		db.bells.Ring(i)
	}
}

// Revision is that of the last change to any table: of two snapshots of a database with one revision, all rows are the same.
func (s *Snapshot) Revision() uint64 { return s.rev }

func (s *Snapshot) of(t *schema) *contents { return s.tables[s.db.position(t)] }

func (s *Snapshot) find(t *schema, key Key) (*object, bool) { return s.of(t).rows.get(key) }

func (s *Snapshot) root(t *schema, index int) tree {
	if index < 0 {
		return s.of(t).rows
	}
	return s.of(t).indexes[index]
}

func (s *Snapshot) stat(t *schema) stat {
	c := s.of(t)
	return stat{c.rows.Len(), c.rev, c.synced}
}

// written is a table as this transaction has changed it, nil if it has not.
func (tx *Tx) written(t *schema) *tableTx {
	if tx.ended {
		panic(fmt.Sprintf("state: table %s is written through a transaction that has ended", t.name))
	}
	return tx.open[tx.base.db.position(t)]
}

func (tx *Tx) find(t *schema, key Key) (*object, bool) {
	if w := tx.written(t); w != nil {
		return w.rows.get(key)
	}
	return tx.base.find(t, key)
}

func (tx *Tx) root(t *schema, index int) tree {
	w := tx.written(t)
	if w == nil {
		return tx.base.root(t, index)
	}
	from := w.rows
	if index >= 0 {
		from = w.indexes[index]
	}
	return from.copy() // keeps later writes of this transaction out of the nodes being walked
}

func (tx *Tx) stat(t *schema) stat {
	w := tx.written(t)
	if w == nil {
		return tx.base.stat(t)
	}
	return stat{w.rows.Len(), w.rev, w.synced}
}
