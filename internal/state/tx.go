package state

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// DB holds the rows of a fixed set of tables.
type DB struct {
	tables []AnyTable
	at     map[*schema]int // position in tables

	writer sync.Mutex // held by the one Write that runs
	latest atomic.Pointer[Snapshot]

	feeds   sync.Mutex                    // guards cursors, and a change of latest, so that a new cursor begins at a known place
	cursors []map[*atomic.Uint64]struct{} // per table: the revision up to which each feed has read
}

// Snapshot is the whole database at one moment. It never changes and needs no closing.
type Snapshot struct {
	db     *DB
	rev    uint64
	tables []*contents
}

// contents is what one table holds at one moment.
type contents struct {
	rev     uint64   // of the last change
	rows    tree     // by key
	indexes []tree   // by index key and row key
	log     tree     // rows by revision: what a feed reads
	grave   tree     // deleted rows by revision, until all feeds have read past them
	dead    tree     // the same by key
	pending []string // producers that have not synced yet
	synced  bool
	changed chan struct{} // closes when any of this is replaced
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
			rows: iradix.New[*object](), log: iradix.New[*object](), grave: iradix.New[*object](), dead: iradix.New[*object](),
			pending: sc.producers, changed: make(chan struct{}),
		}
		for range sc.indexes {
			c.indexes = append(c.indexes, iradix.New[*object]())
		}
		s.tables = append(s.tables, c)
		db.cursors = append(db.cursors, map[*atomic.Uint64]struct{}{})
	}
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
	tx := &Tx{base: base, rev: base.rev, open: make([]*tableTx, len(base.tables))}
	defer func() { tx.ended = true }()
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

type txn = *iradix.Txn[*object]

// tableTx is one table as a transaction has changed it.
type tableTx struct {
	base                   *contents
	rows, log, grave, dead txn
	indexes                []txn
	pending                []string
	synced                 bool
	rev                    uint64 // of the last change; base.rev if there was none
	dirty                  bool
}

func (tx *Tx) table(t *schema) *tableTx {
	if tx.ended {
		panic(fmt.Sprintf("state: table %s is written through a transaction that has ended", t.name))
	}
	i := tx.base.db.position(t)
	if w := tx.open[i]; w != nil {
		return w
	}
	c := tx.base.tables[i]
	w := &tableTx{
		base: c, rows: c.rows.Txn(), log: c.log.Txn(), grave: c.grave.Txn(), dead: c.dead.Txn(),
		pending: c.pending, synced: c.synced, rev: c.rev,
	}
	w.rows.TrackMutate(true)
	for _, ix := range c.indexes {
		w.indexes = append(w.indexes, ix.Txn())
		w.indexes[len(w.indexes)-1].TrackMutate(true)
	}
	tx.open[i] = w
	return w
}

func revKey(rev uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), rev) }

// touch gives the next revision to a change of w.
func (tx *Tx) touch(w *tableTx) uint64 {
	tx.rev++
	w.rev, w.dirty = tx.rev, true
	return tx.rev
}

func (tx *Tx) put(t *schema, key Key, row Row) {
	w := tx.table(t)
	k := []byte(key)
	old, had := w.rows.Get(k)
	if had && t.equal(old.row, row) {
		return
	}
	o := &object{key: key, rev: tx.touch(w), row: row}
	w.rows.Insert(k, o)
	w.log.Insert(revKey(o.rev), o)
	if had {
		w.log.Delete(revKey(old.rev))
	} else {
		w.bury(key, nil)
	}
	for i, ix := range t.indexes {
		keys := ix.keys(row)
		if had {
			for _, k := range ix.keys(old.row) {
				if !slices.Contains(keys, k) {
					w.indexes[i].Delete(indexEntry(k, key))
				}
			}
		}
		for _, k := range keys {
			w.indexes[i].Insert(indexEntry(k, key), o)
		}
	}
}

func (tx *Tx) delete(t *schema, key Key) (*object, bool) {
	w := tx.table(t)
	old, had := w.rows.Delete([]byte(key))
	if !had {
		return nil, false
	}
	w.log.Delete(revKey(old.rev))
	for i, ix := range t.indexes {
		for _, k := range ix.keys(old.row) {
			w.indexes[i].Delete(indexEntry(k, key))
		}
	}
	w.bury(key, &object{key: key, rev: tx.touch(w), row: old.row})
	return old, true
}

// bury puts a tombstone in the place of the one a key may have. With nil the key has none any more: it lives again.
func (w *tableTx) bury(key Key, tombstone *object) {
	k := []byte(key)
	if old, ok := w.dead.Get(k); ok {
		w.grave.Delete(revKey(old.rev))
		w.dead.Delete(k)
	}
	if tombstone != nil {
		w.grave.Insert(revKey(tombstone.rev), tombstone)
		w.dead.Insert(k, tombstone)
	}
}

// collect removes the tombstones that every feed has read past.
func (w *tableTx) collect(read uint64) {
	it := w.grave.Clone().Root().Iterator()
	for _, o, ok := it.Next(); ok && o.rev <= read; _, o, ok = it.Next() {
		w.bury(o.key, nil)
	}
}

func (tx *Tx) markSynced(t *schema, producers ...string) {
	w := tx.table(t)
	if w.synced {
		return
	}
	w.pending = slices.DeleteFunc(slices.Clone(w.pending), func(p string) bool { return slices.Contains(producers, p) })
	w.synced, w.dirty = len(w.pending) == 0, true
}

// commit makes the transaction visible and then wakes those who wait. No lock is held while channels close.
func (tx *Tx) commit() {
	db := tx.base.db
	next := &Snapshot{db: db, rev: tx.rev, tables: slices.Clone(tx.base.tables)}
	var dirty []*tableTx
	db.feeds.Lock()
	for i, w := range tx.open {
		if w == nil || !w.dirty {
			continue
		}
		read := w.rev
		for c := range db.cursors[i] {
			read = min(read, c.Load())
		}
		w.collect(read)
		next.tables[i] = w.contents()
		dirty = append(dirty, w)
	}
	if len(dirty) > 0 {
		db.latest.Store(next)
	}
	db.feeds.Unlock()
	for _, w := range dirty {
		w.rows.Notify()
		for _, ix := range w.indexes {
			ix.Notify()
		}
		close(w.base.changed)
	}
}

func (w *tableTx) contents() *contents {
	c := &contents{
		rev: w.rev, rows: w.rows.CommitOnly(), log: w.log.CommitOnly(), grave: w.grave.CommitOnly(), dead: w.dead.CommitOnly(),
		pending: w.pending, synced: w.synced, changed: make(chan struct{}),
	}
	for _, ix := range w.indexes {
		c.indexes = append(c.indexes, ix.CommitOnly())
	}
	return c
}

func (s *Snapshot) of(t *schema) *contents { return s.tables[s.db.position(t)] }

func (s *Snapshot) find(t *schema, key Key) (*object, bool) { return s.of(t).rows.Get([]byte(key)) }

func (s *Snapshot) root(t *schema, index int) node {
	if index < 0 {
		return s.of(t).rows.Root()
	}
	return s.of(t).indexes[index].Root()
}

func (s *Snapshot) stat(t *schema) stat {
	c := s.of(t)
	return stat{c.rows.Len(), c.rev, c.synced}
}

func (tx *Tx) find(t *schema, key Key) (*object, bool) { return tx.table(t).rows.Get([]byte(key)) }

func (tx *Tx) root(t *schema, index int) node {
	w := tx.table(t)
	from := w.rows
	if index >= 0 {
		from = w.indexes[index]
	}
	return from.Clone().Root() // Clone keeps later writes of this transaction out of the nodes being walked
}

func (tx *Tx) stat(t *schema) stat {
	w := tx.table(t)
	return stat{w.rows.CommitOnly().Len(), w.rev, w.synced}
}
