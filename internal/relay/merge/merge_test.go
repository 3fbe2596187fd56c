package merge

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

var limits = Limits{Window: time.Second, Patience: 2 * time.Second, Most: 64}

// given is one item of one source.
type given struct {
	source string
	at     int
	text   string
}

// draw makes sources with items whose times rise.
func draw(t *rapid.T) [][]given {
	var all [][]given
	for n := range rapid.IntRange(1, 6).Draw(t, "sources") {
		var list []given
		now := 0
		for i := range rapid.IntRange(0, 40).Draw(t, "items") {
			now += rapid.IntRange(0, 5).Draw(t, "later")
			list = append(list, given{fmt.Sprint("n", n), now, fmt.Sprint("n", n, "#", i)})
		}
		all = append(all, list)
	}
	return all
}

// slow is the obvious merge: all items, sorted by time, then by source; those of one source stay in order.
func slow(sources [][]given) (texts []string) {
	all := slices.Concat(sources...)
	slices.SortStableFunc(all, func(a, b given) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.source, b.source)) })
	for _, g := range all {
		texts = append(texts, g.text)
	}
	return texts
}

func TestThePastIsMergedAsTheObviousMergeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources := draw(t)
		m := New[string](limits)
		now := epoch
		for i := range sources {
			m.Open(fmt.Sprint("n", i), now)
		}
		next, closed := make([]int, len(sources)), make([]bool, len(sources))
		var have []string
		for m.Sources() > 0 || m.Len() > 0 {
			// Sources give in any rhythm that has no pause longer than Patience while they have more.
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "ms")) * time.Millisecond)
			i := rapid.IntRange(0, len(sources)-1).Draw(t, "which")
			name := fmt.Sprint("n", i)
			switch {
			case next[i] < len(sources[i]) && m.Room(name):
				g := sources[i][next[i]]
				next[i]++
				m.Put(name, at(g.at), g.text, now)
			case next[i] == len(sources[i]) && !closed[i]:
				closed[i] = true
				m.Close(name)
			}
			for rapid.Bool().Draw(t, "take") {
				item, ok, _ := m.Next(now)
				if !ok {
					break
				}
				have = append(have, item.Value)
			}
			if n := m.Len(); n > limits.Most+least*len(sources) {
				t.Fatalf("%d items are here", n)
			}
		}
		if want := slow(sources); !slices.Equal(have, want) {
			t.Fatalf("have %q, want %q", have, want)
		}
	})
}

func TestThePresentIsInOrderWithinItsWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources := draw(t)
		// Each item comes later than it happened, by less than the window; each source keeps its order.
		type arrival struct {
			given
			came time.Time
		}
		var arrivals []arrival
		for _, list := range sources {
			last := epoch
			for _, g := range list {
				came := at(g.at).Add(time.Duration(rapid.IntRange(0, 999).Draw(t, "delay")) * time.Millisecond)
				if came.Before(last) {
					came = last
				}
				last = came
				arrivals = append(arrivals, arrival{g, came})
			}
		}
		slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.came.Compare(b.came) })
		m := New[string](Limits{Window: time.Second, Patience: time.Second, Most: 1000})
		m.Present()
		for i := range sources {
			m.Open(fmt.Sprint("n", i), epoch)
		}
		m.Open("idle", epoch) // never gives anything
		var have []string
		take := func(now time.Time) {
			for {
				item, ok, _ := m.Next(now)
				if !ok {
					return
				}
				have = append(have, item.Value)
			}
		}
		for _, a := range arrivals {
			// What is due before this comes goes before it.
			for {
				_, ok, wait := m.Next(epoch)
				if ok {
					t.Fatal("an item goes before its time")
				}
				if wait == 0 || epoch.Add(wait).After(a.came) {
					break
				}
				take(epoch.Add(wait))
			}
			m.Put(a.source, at(a.at), a.text, a.came)
		}
		take(epoch.Add(time.Hour))
		if want := slow(sources); !slices.Equal(have, want) {
			t.Fatalf("have %q, want %q", have, want)
		}
	})
}

func TestASilentSourceHoldsUpTheOthersForAWhileOnly(t *testing.T) {
	m := New[string](limits)
	m.Open("a", epoch)
	m.Open("silent", epoch)
	m.Put("a", at(0), "1", epoch)
	if _, ok, wait := m.Next(epoch); ok || wait != limits.Patience {
		t.Errorf("the past: goes %v, waits %v", ok, wait)
	}
	if item, ok, _ := m.Next(epoch.Add(limits.Patience)); !ok || item.Value != "1" || item.Source != "a" {
		t.Errorf("have %v", item)
	}
	m.Present()
	now := epoch.Add(time.Hour)
	m.Put("a", at(0), "2", now)
	if _, ok, wait := m.Next(now); ok || wait != limits.Window {
		t.Errorf("the present: goes %v, waits %v", ok, wait)
	}
	m.Close("silent")
	if item, ok, _ := m.Next(now); !ok || item.Value != "2" {
		t.Errorf("all open sources have a head, and it waits: %v", item)
	}
	if _, ok, wait := m.Next(now); ok || wait != 0 {
		t.Error("there is nothing, and it waits for a time")
	}
}

func TestInThePresentASourceThatIsFullGoesOn(t *testing.T) {
	m := New[int](limits)
	m.Present()
	m.Open("a", epoch)
	m.Open("silent", epoch)
	n := 0
	for ; m.Room("a"); n++ {
		m.Put("a", at(n), n, epoch)
	}
	if n != limits.Most/2 {
		t.Errorf("of %d items, one of two sources may have %d here", limits.Most, n)
	}
	if item, ok, _ := m.Next(epoch); !ok || item.Value != 0 || !m.Room("a") {
		t.Errorf("have %v", item)
	}
	if _, ok, _ := m.Next(epoch); ok {
		t.Error("there is room again, and the next one goes at once")
	}
}

func TestThePastIsOverWhenSourcesAreSilentOrHaveGivenEnough(t *testing.T) {
	m := New[int](limits)
	m.Open("a", epoch)
	m.Open("b", epoch)
	now := epoch.Add(time.Second)
	for i := range 3 {
		m.Put("a", at(i), i, now)
	}
	if settled, wait := m.Settled(3, now); settled || wait != limits.Patience-time.Second {
		t.Errorf("settled %v, wait %v", settled, wait)
	}
	if settled, _ := m.Settled(3, epoch.Add(limits.Patience)); !settled {
		t.Error("b is silent, a has given 3")
	}
	if settled, wait := m.Settled(4, epoch.Add(limits.Patience)); settled || wait != time.Second {
		t.Errorf("settled %v, wait %v", settled, wait)
	}
	m.Close("b")
	m.Close("a")
	if settled, _ := m.Settled(4, now); !settled {
		t.Error("all sources are closed")
	}
}

func TestASourceMayComeBack(t *testing.T) {
	m := New[string](limits)
	m.Open("a", epoch)
	m.Put("a", at(1), "1", epoch)
	m.Close("a")
	m.Close("a")
	m.Open("a", epoch)
	m.Put("a", at(2), "2", epoch)
	for _, want := range []string{"1", "2"} {
		if item, ok, _ := m.Next(epoch); !ok || item.Value != want {
			t.Errorf("have %v, want %s", item, want)
		}
	}
	m.Close("a")
	if m.Sources() != 0 || m.Len() != 0 || len(m.sources) != 0 {
		t.Errorf("%d sources are left", len(m.sources))
	}
}
