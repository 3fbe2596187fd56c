package state

import "slices"

// Memo is something computed of whole tables, again only when one of them has changed: an index that the schema does not
// have. It is a function of the snapshot it is asked about, whatever was asked before. Not for concurrent use.
//
//	byAddress := state.NewMemo(func(r state.Reader) map[netip.Addr]table.Node { … }, t.Nodes)
//	n := byAddress.Of(r)[a]
type Memo[V any] struct {
	tables []AnyTable
	build  func(r Reader) V
	known  [2]memoVersion[V] // a pass looks at two snapshots, before and now; the latter is the older one of the next pass
}

type memoVersion[V any] struct {
	changed []<-chan struct{} // name the version of each table: another one has another channel
	value   V
}

// NewMemo makes a memo of what build computes; build must read no other tables.
func NewMemo[V any](build func(r Reader) V, tables ...AnyTable) *Memo[V] {
	return &Memo[V]{tables: tables, build: build}
}

// Of gives the value for a snapshot. Inside a transaction it is computed each time.
func (m *Memo[V]) Of(r Reader) V {
	s, ok := r.(*Snapshot)
	if !ok {
		return m.build(r)
	}
	changed := make([]<-chan struct{}, len(m.tables))
	for i, t := range m.tables {
		changed[i] = t.WatchAll(s)
	}
	for _, k := range m.known {
		if slices.Equal(k.changed, changed) {
			return k.value
		}
	}
	m.known[0], m.known[1] = m.known[1], memoVersion[V]{changed, m.build(s)}
	return m.known[1].value
}
