package state

import (
	"iter"
	"strings"

	"github.com/google/btree"
)

// degree of the trees: a node has up to twice as many items. A write copies one node per level, so small nodes are cheaper to write.
const degree = 8

// item is an object under its key.
type item struct {
	key Key
	o   *object
}

// tree holds objects by key. Its copies are independent of each other and share what neither has changed.
type tree struct{ *btree.BTreeG[item] }

func newTree() tree {
	return tree{btree.NewG(degree, func(a, b item) bool { return a.key < b.key })}
}

func (t tree) copy() tree { return tree{t.Clone()} }

func (t tree) get(key Key) (*object, bool) {
	e, ok := t.Get(item{key: key})
	return e.o, ok
}

func (t tree) put(key Key, o *object) { t.ReplaceOrInsert(item{key, o}) }

func (t tree) remove(key Key) (*object, bool) {
	e, ok := t.Delete(item{key: key})
	return e.o, ok
}

// below gives the objects whose keys start with a prefix, in order of their keys, until yield says no.
func (t tree) below(prefix Key, yield func(*object) bool) {
	t.AscendGreaterOrEqual(item{key: prefix}, func(e item) bool {
		return strings.HasPrefix(string(e.key), string(prefix)) && yield(e.o)
	})
}

// log holds objects by revision.
type log struct{ *btree.BTreeG[*object] }

func newLog() log {
	return log{btree.NewG(degree, func(a, b *object) bool { return a.rev < b.rev })}
}

func (l log) copy() log { return log{l.Clone()} }

// since gives the objects that are younger than a revision, oldest first.
func (l log) since(rev uint64) iter.Seq[*object] {
	return func(yield func(*object) bool) { l.AscendGreaterOrEqual(&object{rev: rev + 1}, yield) }
}
