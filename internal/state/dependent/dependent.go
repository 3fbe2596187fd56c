// Package dependent files keys of a derivation under what their rows were made of as they were computed last. It answers
// which keys a change touches where no index of an input can: what they depend on is computed itself.
//
// # Invariants
//
//   - It spares work and adds nothing: what it holds depends on the last Set of each key alone, in whatever order they came.
//   - It belongs to one derivation. Compute files a key with Set, the functions of state.On ask, Begin makes a new one.
//
// # Example
//
//	d.byLabels.Set(key, labels)                 // in Compute; without values the key is forgotten
//	for key := range d.byLabels.On(i.Labels) …  // in the function of state.On
package dependent

import (
	"iter"
	"maps"

	"weftnet.io/weftnet/internal/state"
)

// Keys are keys by values. Not for concurrent use.
type Keys[V comparable] struct {
	of map[state.Key][]V
	on map[V]map[state.Key]bool
}

// New makes an empty one.
func New[V comparable]() *Keys[V] {
	return &Keys[V]{of: map[state.Key][]V{}, on: map[V]map[state.Key]bool{}}
}

// Set files a key under values, and under no others.
func (d *Keys[V]) Set(key state.Key, values ...V) {
	for _, v := range d.of[key] {
		if delete(d.on[v], key); len(d.on[v]) == 0 {
			delete(d.on, v)
		}
	}
	if len(values) == 0 {
		delete(d.of, key)
		return
	}
	d.of[key] = values
	for _, v := range values {
		if d.on[v] == nil {
			d.on[v] = map[state.Key]bool{}
		}
		d.on[v][key] = true
	}
}

// On are the keys that are filed under a value, in no order.
func (d *Keys[V]) On(value V) iter.Seq[state.Key] { return maps.Keys(d.on[value]) }

// All are those that are filed under anything, in no order.
func (d *Keys[V]) All() iter.Seq[state.Key] { return maps.Keys(d.of) }

// Len is the number of keys that are filed under anything.
func (d *Keys[V]) Len() int { return len(d.of) }
