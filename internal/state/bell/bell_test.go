package bell_test

import (
	"testing"

	"weftnet.io/weftnet/internal/state/bell"
)

func TestABellRingsForEachOfItsTablesUntilItIsClosed(t *testing.T) {
	const nodes, pods, routes = 1, 2, 3
	var bells bell.Bells
	bells.Ring(nodes) // for none
	b, other := bells.Hang(nodes, pods), bells.Hang(routes)
	rung := func(b *bell.Bell) bool {
		select {
		case <-b.Rung:
			return true
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
