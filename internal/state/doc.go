// Package state is the in-memory database that everything in Weftnet agrees on.
//
// # The world it models
//
// A database is a fixed set of tables; a table is a set of rows; a row is one immutable fact ("pod default/web has
// address 10.0.0.5"). Sources put facts in, derivations compute further rows from rows, sinks make the world equal to
// rows, and all that asks how things stand reads the same tables: the CLI, bug reports, tests.
//
//	source -> input tables -> Derivation -> desired tables -> reconcile -> kernel, API
//	                                                              |
//	                                       status tables <--------+
//
// # How it is built
//
// Every table is a handful of copied-on-write B-trees: rows by key, rows by each secondary index, rows by revision, and
// the tombstones of deleted rows by revision. A writer copies the few nodes on the path to what it changes and then swaps
// one pointer; who watches has a channel beside the trees, which the commit closes; a reader holds the old pointer and is not disturbed. So a Snapshot costs nothing, is consistent
// over all tables, and may be kept for as long as one likes.
//
// # Invariants
//
//   - Only DB.Write changes anything. Writes are serialised; one that returns an error, or panics, never happened.
//   - Rows are immutable. Change a row by putting another one under its key; never touch what a slice, map or pointer
//     inside a row leads to.
//   - Putting a row equal to the one already there changes nothing: no new revision, no watch fires, no feed delivers
//     it. A full resync from the API server therefore ripples nowhere.
//   - Revisions grow by one with every change, over all tables. Table.Revision tells the revision of a row, which names
//     one version of it: a waiter can ask whether that version has been realised.
//   - A watch channel closes after the new state is visible, when the answer to the query it came with may have
//     changed. It may close early (a neighbour changed), never late.
//   - A Feed delivers, in the order of their last change, every row that differs from what the feed delivered before,
//     and every delivered row that is gone. Between two calls any number of changes to one row become one.
//   - A table is synced once its first full list is in. The mark is never taken back, and nothing may be removed from
//     the kernel on the word of a table that is not synced: what is missing may only not have been read yet.
//
// # Example
//
//	type Pod struct { Name string; Addr netip.Addr }
//
//	func (Pod) Header() []string  { return []string{"NAME", "ADDRESS"} }
//	func (p Pod) Row() []string   { return []string{p.Name, p.Addr.String()} }
//
//	var ByAddr = state.Index[Pod]{Name: "addr", Keys: func(p Pod) []state.Key { return []state.Key{state.Join(p.Addr)} }}
//	var Pods = state.NewTable("pods", func(p Pod) state.Key { return state.Join(p.Name) }, ByAddr)
//
//	db := state.New(Pods)
//	err := db.Write(func(tx *state.Tx) error {
//		Pods.Put(tx, Pod{"default/web", netip.MustParseAddr("10.0.0.5")})
//		Pods.MarkSynced(tx)
//		return nil
//	})
//	pod, ok, changed := Pods.WatchOne(db.Snapshot(), state.Join("default/web")) // changed closes when the answer may differ
package state
