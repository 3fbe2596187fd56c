package ui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
)

func FuzzACursorIsReadAsItWasWrittenOrIsRefused(f *testing.F) {
	f.Add(cursor{of: observerv1.Order_ORDER_OLDEST_FIRST, at: time.Unix(1, 2), given: []string{"a", ""}}.text())
	f.Add("")
	f.Add("AQD_____________AQ")
	f.Fuzz(func(t *testing.T, text string) {
		for of := range observerv1.Order_name {
			c, err := parseCursor(text, observerv1.Order(of))
			if err != nil {
				continue
			}
			again, err := parseCursor(c.text(), c.of)
			if err != nil || !again.at.Equal(c.at) || !slices.Equal(again.given, c.given) {
				t.Errorf("%q is %v, and that %v, %v", text, c, again, err)
			}
		}
	})
}

// A page is read with as many flows beside its own as the cursor says were given.
func TestACursorThatNothingWroteIsRefused(t *testing.T) {
	c := cursor{of: observerv1.Order_ORDER_OLDEST_FIRST, at: time.Unix(1, 2), given: make([]string, mostGiven)}
	if _, err := parseCursor(c.text(), c.of); err != nil {
		t.Error(err)
	}
	c.given = append(c.given, "")
	if _, err := parseCursor(c.text(), c.of); err == nil {
		t.Errorf("one of %d flows is read", len(c.given))
	}
	if _, _, err := pageOf(&observerv1.ListFlowsRequest{PageSize: 1, Order: c.of, Cursor: c.text()}); err == nil {
		t.Error("it asks for a page")
	}
}

func TestACursorIsBehindWhatMayBeLate(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	p := newPlace(start)
	for i, step := range []struct {
		what string
		do   func()
		now  float64
		want float64
	}{
		{"nothing has come", func() {}, 1, -2},
		{"a flow", func() { p.give(at(5), at(5)) }, 5, 3},
		{"one of a clock that goes fast", func() { p.give(at(3600), at(6)) }, 6, 4},
		{"one that is late", func() { p.give(at(5.5), at(6)) }, 6, 3.5},
		{"a node goes", func() { p.leaves("b", at(7)); p.give(at(30), at(30)) }, 30, 5},
		{"it is back", func() { p.returns("b", at(40)); p.give(at(40), at(40)) }, 40, 5},
		{"it gives what it had", func() { p.give(at(20), at(44)) }, 46, 5},
		{"it has given all: what is late is as late as that", func() { p.give(at(50), at(50)) }, 50, 28},
		{"that is long ago", func() { p.give(at(400), at(400)) }, 400, 398},
		{"a node goes and stays away", func() { p.leaves("c", at(401)); p.give(at(800), at(800)) }, 800, 798},
	} {
		step.do()
		if have := p.cursor(at(step.now)).at; !have.Equal(at(step.want)) {
			t.Errorf("%s", fmt.Sprintf("step %d, %s: the cursor is at %v, want %v", i, step.what, have.Sub(start), step.want))
		}
	}
}
