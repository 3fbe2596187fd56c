package policy

import (
	"slices"

	"weftnet.io/weftnet/internal/state"
)

// memo is something computed of whole tables, again only when one of them has changed: an index that the schema does not
// have. It is a function of the snapshot it is asked about, whatever was asked before. Not for concurrent use.
type memo[V any] struct {
	tables []state.AnyTable
	build  func(r state.Reader) V
	known  [2]version[V] // a pass looks at two snapshots, before and now; the latter is the older one of the next pass
}

type version[V any] struct {
	changed []<-chan struct{} // name the version of each table: another one has another channel
	value   V
}

func (m *memo[V]) of(r state.Reader) V {
	s, ok := r.(*state.Snapshot)
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
	m.known[0], m.known[1] = m.known[1], version[V]{changed, m.build(s)}
	return m.known[1].value
}
