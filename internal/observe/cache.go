package observe

import "weftnet.io/weftnet/internal/state"

// cacheSize is how many values a cached holds at most.
const cacheSize = 4096

type versioned interface {
	LastRevision(r state.Reader) uint64
}

// cached keeps what was looked up in tables as long as none of them changes: connections come in crowds, and mostly between
// the same few. Its values are shared and never changed. Not for concurrent use.
type cached[K comparable, V any] struct {
	find   func(r state.Reader, key K) V // reads only of the tables
	tables []versioned
	asOf   []uint64 // their revisions when known was begun
	seen   uint64   // revision of the snapshot in which they were that still
	known  map[K]V
}

// of is what find says.
func (m *cached[K, V]) of(r *state.Snapshot, key K) V {
	current := len(m.asOf) == len(m.tables) && len(m.known) < cacheSize
	if r.Revision() != m.seen { // mostly nothing has changed at all
		for i := 0; i < len(m.tables) && current; i++ {
			current = m.tables[i].LastRevision(r) == m.asOf[i]
		}
		m.seen = r.Revision()
	}
	if !current {
		m.asOf, m.known = m.asOf[:0], map[K]V{}
		for _, t := range m.tables {
			m.asOf = append(m.asOf, t.LastRevision(r))
		}
	}
	v, ok := m.known[key]
	if !ok {
		v = m.find(r, key)
		m.known[key] = v
	}
	return v
}
