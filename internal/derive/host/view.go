package host

import "weftnet.io/weftnet/internal/state"

// view is something computed of a whole table, again only when the table has changed: an index that the schema does not
// have. It is a function of the snapshot it is asked about, whatever was asked before.
type view[R state.Row, V any] struct {
	table *state.Table[R]
	build func(r state.Reader) V
	last  [2]version[V] // a pass looks at two snapshots, before and now
}

type version[V any] struct {
	changed <-chan struct{} // names the version of the table: another one has another channel
	value   V
}

func viewOf[R state.Row, V any](t *state.Table[R], build func(r state.Reader) V) *view[R, V] {
	return &view[R, V]{table: t, build: build}
}

func (v *view[R, V]) of(r state.Reader) V {
	s, ok := r.(*state.Snapshot)
	if !ok {
		return v.build(r)
	}
	changed := v.table.WatchAll(s)
	for _, known := range v.last {
		if known.changed == changed {
			return known.value
		}
	}
	v.last[0], v.last[1] = v.last[1], version[V]{changed, v.build(s)}
	return v.last[1].value
}
