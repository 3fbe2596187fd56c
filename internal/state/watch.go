package state

import "iter"

// WatchOne is One with a channel that closes when the answer may have changed.
func (t *Table[R]) WatchOne(r *Snapshot, key Key) (R, bool, <-chan struct{}) {
	changed, o, ok := r.of(&t.schema).rows.Root().GetWatch([]byte(key))
	row, ok := t.row(o, ok)
	return row, ok, changed
}

// WatchAll closes on any change of the table, its synced mark included.
func (t *Table[R]) WatchAll(r *Snapshot) <-chan struct{} { return r.of(&t.schema).changed }

// WatchBy is By with a channel that closes when the answer may have changed.
func (t *Table[R]) WatchBy(r *Snapshot, index string, key Key) (iter.Seq[R], <-chan struct{}) {
	root := r.root(&t.schema, t.schema.index(index))
	prefix := indexPrefix(key)
	return walk[R](root, prefix), root.Iterator().SeekPrefixWatch(prefix)
}
