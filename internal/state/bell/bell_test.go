package bell_test

import (
	"testing"

	"weftnet.io/weftnet/internal/state/bell"
)

func TestABellRingsForEachOfItsTablesUntilItIsClosed(t *testing.T) {
	const nodes, pods, routes = 1, 2, 3
	var bells bell.Bells
	bells.Ring(nodes) // for none
	mine, others := make(chan struct{}, 1), make(chan struct{}, 1)
	b, other := bells.Hang(mine, nodes, pods), bells.Hang(others, routes)
	wakes := map[*bell.Bell]chan struct{}{b: mine, other: others}
	rung := func(b *bell.Bell) bool {
		select {
		case <-wakes[b]:
			return b.Heard()
		default:
			return false
		}
	}
	if rung(b) {
		t.Error("it rings before anything has changed")
	}
	for _, table := range []int{nodes, pods} {
		bells.Ring(table)
		bells.Ring(table)
		if !rung(b) || rung(b) {
			t.Errorf("table %d has changed twice, and it is not heard once", table)
		}
	}
	if bells.Ring(routes); rung(b) || !rung(other) {
		t.Error("it rings for a table of another")
	}
	b.Close()
	if bells.Ring(pods); rung(b) {
		t.Error("it rings although it is closed")
	}
	if bells.Ring(routes); !rung(other) {
		t.Error("another is closed along with it")
	}
}

func TestAGoroutineIsWokenByAnyOfItsBellsAndHearsWhich(t *testing.T) {
	const nodes, pods = 1, 2
	var bells bell.Bells
	wakes := make(chan struct{}, 1)
	first, second := bells.Hang(wakes, nodes), bells.Hang(wakes, pods)
	bells.Ring(pods)
	select {
	case <-wakes:
	default:
		t.Error("it is not woken")
	}
	if first.Heard() || !second.Heard() || second.Heard() {
		t.Error("it has not heard the second bell, once")
	}
	bells.Ring(nodes)
	bells.Ring(pods)
	if <-wakes; !first.Heard() || !second.Heard() {
		t.Error("both have rung")
	}
	select {
	case <-wakes:
		t.Error("it is woken twice")
	default:
	}
}
