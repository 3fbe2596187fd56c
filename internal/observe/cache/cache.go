// Package cache remembers what was looked up in tables for as long as none of them changes: connections come in crowds, and
// mostly between the same few.
//
// Invariants: what it gives is what Find would say of the snapshot; values are shared and never changed. Not for concurrent use.
//
//	names := cache.Cache[uint32, string]{Find: nameOf, Tables: []cache.Versioned{tables.Devices}}
//	names.Of(db.Snapshot(), 3) // "eth0"
package cache

import "weftnet.io/weftnet/internal/state"

// size is how many values a Cache holds at most.
const size = 4096

// Versioned is a table.
type Versioned interface {
	LastRevision(r state.Reader) uint64
}

// Cache is one function of tables.
type Cache[K comparable, V any] struct {
	Find   func(r state.Reader, key K) V // reads only of the tables
	Tables []Versioned
	asOf   []uint64 // their revisions when known was begun
	seen   uint64   // revision of the snapshot in which they were that still
	known  map[K]V
}

// Of is what Find says.
func (m *Cache[K, V]) Of(r *state.Snapshot, key K) V {
	current := len(m.asOf) == len(m.Tables) && len(m.known) < size
	if r.Revision() != m.seen { // mostly nothing has changed at all
		for i := 0; i < len(m.Tables) && current; i++ {
			current = m.Tables[i].LastRevision(r) == m.asOf[i]
		}
		m.seen = r.Revision()
	}
	if !current {
		m.asOf, m.known = m.asOf[:0], map[K]V{}
		for _, t := range m.Tables {
			m.asOf = append(m.asOf, t.LastRevision(r))
		}
	}
	v, ok := m.known[key]
	if !ok {
		v = m.Find(r, key)
		m.known[key] = v
	}
	return v
}
