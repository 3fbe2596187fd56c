package state

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
)

// Row is one immutable fact, and prints itself. Header names the columns and must work on the zero value (a nil
// pointer if rows are pointers); Row gives the text of each, in the same number and order.
type Row interface {
	Header() []string
	Row() []string
}

// Index finds rows by something other than their key. It is not unique, and a row may have many keys, or none.
type Index[R Row] struct {
	Name string
	Keys func(R) []Key
}

// Table is the schema of one table: how rows of type R are keyed, indexed and compared. It holds no rows: those live in
// the DB it was registered with, so one Table variable serves many databases (one per test, say).
type Table[R Row] struct {
	schema schema
	key    func(R) Key
}

// AnyTable is a table whose row type does not matter: what the CLI, bug reports and scripts work with.
type AnyTable interface {
	Name() string
	Header() []string
	Rows(s *Snapshot) []Row // in key order
	Synced(s *Snapshot) bool
	WatchAll(s *Snapshot) <-chan struct{}
	shape() *schema
}

// schema is the part of a Table that knows nothing of R.
type schema struct {
	name      string
	indexes   []index
	equal     func(a, b Row) bool
	producers []string
}

type index struct {
	name string
	keys func(Row) []Key
}

// object is one version of a row, or the memory of a deleted one.
type object struct {
	key Key
	rev uint64
	row Row
}

// Reader is where rows are read from: a *Snapshot, or a *Tx, which sees its own writes.
type Reader interface {
	find(t *schema, key Key) (*object, bool)
	root(t *schema, index int) tree // index -1 is the primary tree; it stays as it is whatever is written later
	stat(t *schema) stat
}

// stat is what a table says of itself.
type stat struct {
	rows   int
	rev    uint64 // of the last change
	synced bool
}

// NewTable defines a table. key must depend on nothing but the row. Rows with a method Equal(R) bool are compared by
// it, others by reflect.DeepEqual.
func NewTable[R Row](name string, key func(R) Key, indexes ...Index[R]) *Table[R] {
	t := &Table[R]{key: key, schema: schema{name: name, equal: deepEqual}}
	if reflect.TypeFor[R]().Implements(reflect.TypeFor[interface{ Equal(R) bool }]()) {
		t.schema.equal = func(a, b Row) bool { return a.(interface{ Equal(R) bool }).Equal(b.(R)) }
	}
	for _, ix := range indexes {
		t.schema.indexes = append(t.schema.indexes, index{ix.Name, func(r Row) []Key { return ix.Keys(r.(R)) }})
	}
	return t
}

func deepEqual(a, b Row) bool { return reflect.DeepEqual(a, b) }

// MadeBy declares that several producers fill the table, each known by a name (a Partial derivation is known by its
// own): the table is synced once every one of them has called MarkSyncedBy. It is part of the definition of a table.
func (t *Table[R]) MadeBy(producers ...string) *Table[R] {
	t.schema.producers = producers
	return t
}

// Name is the name the table has in the CLI, in scripts and in messages.
func (t *Table[R]) Name() string { return t.schema.name }

// Header names the columns.
func (t *Table[R]) Header() []string {
	var zero R
	return zero.Header()
}

func (t *Table[R]) shape() *schema { return &t.schema }

// Key is the key of a row.
func (t *Table[R]) Key(row R) Key { return t.key(row) }

// Equal tells whether putting b in the place of a would change nothing.
func (t *Table[R]) Equal(a, b R) bool { return t.schema.equal(a, b) }

// Put inserts a row or replaces the one with its key. A row equal to the one already there changes nothing.
func (t *Table[R]) Put(tx *Tx, row R) { tx.put(&t.schema, t.key(row), row) }

// Delete removes a row and returns it, if there was one.
func (t *Table[R]) Delete(tx *Tx, key Key) (R, bool) {
	o, ok := tx.delete(&t.schema, key)
	return t.row(o, ok)
}

// MarkSynced says that the first full list is in. The mark stays.
func (t *Table[R]) MarkSynced(tx *Tx) { tx.markSynced(&t.schema, t.schema.producers...) }

// MarkSyncedBy says that the first full list of one producer is in (see MadeBy). The last one makes the table synced.
func (t *Table[R]) MarkSyncedBy(tx *Tx, producer string) {
	if !slices.Contains(t.schema.producers, producer) {
		panic(fmt.Sprintf("state: table %s is not declared as made by %q: name it in MadeBy where the table is defined, "+
			"or the table could count as synced before that part of it is there", t.schema.name, producer))
	}
	tx.markSynced(&t.schema, producer)
}

// One is the row with a key.
func (t *Table[R]) One(r Reader, key Key) (R, bool) { return t.row(r.find(&t.schema, key)) }

// Revision names the version of the row with a key: it grows with every change of the row and is never reused, not even
// by a row that was deleted and put again. It is 0 if there is no such row.
func (t *Table[R]) Revision(r Reader, key Key) uint64 {
	if o, ok := r.find(&t.schema, key); ok {
		return o.rev
	}
	return 0
}

// All gives every row in key order. Rows that change during the walk are seen as they were when it began.
func (t *Table[R]) All(r Reader) iter.Seq[R] { return walk[R](r.root(&t.schema, -1), "") }

// Prefix gives the rows whose key starts with prefix, in key order: with Join("a"), those whose first part is "a".
func (t *Table[R]) Prefix(r Reader, prefix Key) iter.Seq[R] {
	return walk[R](r.root(&t.schema, -1), prefix)
}

// By gives the rows that an index files under key, in key order of the rows.
func (t *Table[R]) By(r Reader, index string, key Key) iter.Seq[R] {
	return walk[R](r.root(&t.schema, t.schema.index(index)), indexPrefix(key))
}

// Below gives the rows that an index files under keys which start with prefix, in order of those keys: a row as often as
// it has such keys.
func (t *Table[R]) Below(r Reader, index string, prefix Key) iter.Seq[R] {
	p := indexPrefix(prefix)
	return walk[R](r.root(&t.schema, t.schema.index(index)), p[:len(p)-1]) // less the end of the key
}

// Len is the number of rows.
func (t *Table[R]) Len(r Reader) int { return r.stat(&t.schema).rows }

// LastRevision is the revision of the last change of the table, 0 if there was none. No row has a greater one.
func (t *Table[R]) LastRevision(r Reader) uint64 { return r.stat(&t.schema).rev }

// IsSynced tells whether the first full list is in.
func (t *Table[R]) IsSynced(r Reader) bool { return r.stat(&t.schema).synced }

// Synced is IsSynced for AnyTable.
func (t *Table[R]) Synced(s *Snapshot) bool { return t.IsSynced(s) }

// Rows is All for AnyTable.
func (t *Table[R]) Rows(s *Snapshot) []Row {
	rows := make([]Row, 0, t.Len(s))
	for r := range t.All(s) {
		rows = append(rows, r)
	}
	return rows
}

func (t *Table[R]) row(o *object, ok bool) (R, bool) {
	if !ok {
		var zero R
		return zero, false
	}
	return o.row.(R), true
}

func (s *schema) index(name string) int {
	for i, ix := range s.indexes {
		if ix.name == name {
			return i
		}
	}
	panic(fmt.Sprintf("state: table %s has no index %q", s.name, name))
}

// walk gives the rows below a prefix. Persistent trees make it safe against every write.
func walk[R Row](t tree, prefix Key) iter.Seq[R] {
	return func(yield func(R) bool) {
		t.below(prefix, func(o *object) bool { return yield(o.row.(R)) })
	}
}

// indexPrefix is what the keys of an index begin with for one value; the row's own key follows.
func indexPrefix(key Key) Key { return Key(appendString(make([]byte, 0, len(key)+1), string(key))) }

func indexKey(key, rowKey Key) Key { return indexPrefix(key) + rowKey }
