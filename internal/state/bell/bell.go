// Package bell wakes goroutines that wait for a change of any of several tables.
//
// # The world it models
//
// A derivation follows up to a dozen tables and sleeps until one of them changes, a hundred times during a CNI ADD. To select among
// a channel of each costs more than most of what it then does. So it has one Bell, which hangs at all of them.
//
// # Invariants
//
//   - A bell that rings while its owner is awake is heard at the next wait: no change is slept through.
//   - One that rings many times before it is heard is heard once.
//   - A goroutine may have several bells, and wakes by any of them.
//
// # Example
//
//	rung := make(chan struct{}, 1)
//	b := bells.Hang(rung, nodes, pods)
//	defer b.Close()
//	<-rung // bells.Ring(pods) was called
//	if b.Heard() { … }
package bell

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Bells hang at tables, by their numbers. The zero value has none.
type Bells struct {
	mu sync.RWMutex
	at map[int][]*Bell
}

// Bell rings with some tables.
type Bell struct {
	wakes chan struct{}
	rang  atomic.Bool
	bells *Bells
}

// Hang makes a bell that rings with each of these tables. It puts one into wakes then, which has room for one.
func (s *Bells) Hang(wakes chan struct{}, tables ...int) *Bell {
	b := &Bell{wakes: wakes, bells: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[int][]*Bell{}
	}
	for _, t := range tables {
		s.at[t] = append(s.at[t], b)
	}
	return b
}

// Ring wakes all that wait for a table.
func (s *Bells) Ring(table int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.at[table] {
		b.rang.Store(true) // before its owner wakes
		select {
		case b.wakes <- struct{}{}:
		default: // it is awake already, or has no owner
		}
	}
}

// Heard tells whether the bell has rung since it was last asked.
func (b *Bell) Heard() bool { return b.rang.Swap(false) }

// Close takes a bell off its tables.
func (b *Bell) Close() {
	b.bells.mu.Lock()
	defer b.bells.mu.Unlock()
	for t, list := range b.bells.at {
		b.bells.at[t] = slices.DeleteFunc(list, func(x *Bell) bool { return x == b })
	}
}
