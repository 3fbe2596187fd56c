package element

import (
	"iter"
	"slices"

	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/table"
)

// ahead computes tables on another processor while rows before them are written.
type ahead struct {
	done     chan struct{} // closed: nothing more is wanted
	computed chan computed
}

// computed is a table: for each element the index of a member.
type computed struct {
	shape   maglev.Shape
	members []maglev.Member
	of      []uint32
}

// atOnce is how many tables may be computed that nothing has asked for yet: they are large.
const atOnce = 4

// Expect says for which rows tables will be asked for, and in which order, and returns what is to be called when all have been. What is asked for
// in another order is there as well, but takes its time.
func (t *Tables) Expect(rows iter.Seq[table.Frontend]) (end func()) {
	a := &ahead{done: make(chan struct{}), computed: make(chan computed, atOnce)}
	go a.run(rows)
	t.ahead = a
	return func() {
		t.ahead = nil
		close(a.done)
		for range a.computed { // until run has returned
		}
	}
}

func (a *ahead) run(rows iter.Seq[table.Frontend]) {
	defer close(a.computed)
	var last computed
	for r := range rows {
		next := computed{shape: r.Maglev, members: Members(r)}
		if len(next.members) == 0 || next.is(last.shape, last.members) {
			continue
		}
		select {
		case <-a.done:
			return
		default:
		}
		next.of = next.shape.Table(next.members)
		last = next
		select {
		case a.computed <- next:
		case <-a.done:
			return
		}
	}
}

func (c computed) is(s maglev.Shape, members []maglev.Member) bool {
	return c.shape == s && slices.Equal(c.members, members)
}

// table is one that was computed ahead, or that is computed now. Those that were expected before it are asked for no more.
func (t *Tables) table(s maglev.Shape, members []maglev.Member) []uint32 {
	if t.ahead != nil {
		for next := range t.ahead.computed {
			if next.is(s, members) {
				return next.of
			}
		}
	}
	return s.Table(members)
}
