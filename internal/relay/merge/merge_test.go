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
	if n != limits.Most {
		t.Errorf("of %d items, one of two sources may have %d here while the other has none", limits.Most, n)
	}
	if item, ok, _ := m.Next(epoch); !ok || item.Value != 0 || !m.Room("a") {
		t.Errorf("have %v", item)
	}
	if _, ok, _ := m.Next(epoch); ok {
		t.Error("there is room again, and the next one goes at once")
	}
	for n = 0; m.Room("silent"); n++ {
		m.Put("silent", at(100+n), n, epoch)
	}
	if n != least {
		t.Errorf("the other one may have %d, though there is no room", n)
	}
}

// passed is an item that went on.
type passed struct {
	given
	came, went time.Time
	crowded    bool // it went while as many as may be were here
}

// play gives a merge what comes, at its time, and takes what goes.
func play(sources []string, arrivals []passed, l Limits) (all []passed) {
	m := New[passed](l)
	m.Present()
	for _, s := range sources {
		m.Open(s, epoch)
	}
	take := func(now time.Time) (wait time.Duration) {
		for {
			crowded := m.Len() >= l.Most
			item, ok, wait := m.Next(now)
			if !ok {
				return wait
			}
			one := item.Value
			one.went, one.crowded = now, crowded
			all = append(all, one)
		}
	}
	now := epoch
	for _, a := range arrivals {
		for wait := take(now); wait > 0 && !now.Add(wait).After(a.came); wait = take(now) {
			now = now.Add(wait)
		}
		now = a.came
		if !m.Room(a.source) {
			take(now)
		}
		m.Put(a.source, at(a.at), a, now)
	}
	for wait := take(now); wait > 0; wait = take(now) {
		now = now.Add(wait)
	}
	return all
}

func TestWhatIsTooLateGoesOutOfOrder(t *testing.T) {
	a := func(at, came int) passed {
		return passed{given: given{"a", at, fmt.Sprint("a", at)}, came: epoch.Add(time.Duration(came) * time.Millisecond)}
	}
	b := func(at, came int) passed {
		one := a(at, came)
		one.source, one.text = "b", fmt.Sprint("b", at)
		return one
	}
	crowd := func(first, n int) (all []passed) {
		for i := range n {
			all = append(all, a(first+i, first+i))
		}
		return all
	}
	for _, c := range []struct {
		name     string
		arrivals []passed
		have     func(all []string) []string // of what went on, what matters
		want     []string
	}{
		{"an agent that is slow within the window", []passed{a(0, 0), a(500, 500), b(100, 900), b(600, 1400)}, nil, []string{"a0", "b100", "a500", "b600"}},
		{"an agent that is slower", []passed{a(0, 0), a(500, 500), b(100, 1600), b(600, 2100)}, nil, []string{"a0", "a500", "b100", "b600"}},
		{"a clock that is late within the window", []passed{b(-900, 0), a(0, 1), b(-400, 500), a(500, 501)}, nil, []string{"b-900", "b-400", "a0", "a500"}},
		{"a clock that is later", []passed{a(2000, 2000), a(2500, 2500), b(300, 3100), a(3200, 3200), b(1300, 4100)}, nil, []string{"a2000", "b300", "a2500", "b1300", "a3200"}},
		{"a clock that is early", []passed{b(5000, 0), a(0, 1), a(500, 501), b(5500, 502)}, nil, []string{"a0", "a500", "b5000", "b5500"}},
		{
			"a clock that is early while the other goes on",
			[]passed{b(5000, 0), a(400, 400), a(900, 900), a(1400, 1400), a(1900, 1900), a(2400, 2400), a(2900, 2900)},
			nil,
			[]string{"a400", "a900", "b5000", "a1400", "a1900", "a2400", "a2900"},
		},
		{
			"a clock that is hours late while the other goes on",
			[]passed{b(-9e6, 0), a(1, 1), b(-9e6+500, 500), b(-9e6+900, 900), b(-9e6+1300, 1300), b(-9e6+1700, 1700), a(1800, 1800)},
			nil,
			[]string{"b-9000000", "b-8999500", "b-8999100", "a1", "b-8998700", "b-8998300", "a1800"},
		},
		{"more than there is room for in the window", append(crowd(0, limits.Most+1), b(0, limits.Most+1)), func(all []string) []string { return all[:3] }, []string{"a0", "a1", "b0"}},
	} {
		var have []string
		for _, one := range play([]string{"a", "b", "idle"}, c.arrivals, limits) {
			have = append(have, one.text)
		}
		if c.have != nil {
			have = c.have(have)
		}
		if !slices.Equal(have, c.want) {
			t.Errorf("%s: have %v, want %v", c.name, have, c.want)
		}
	}
}

// Agents are slow and stop for a while, their clocks are wrong, and there is little room: the order is wrong only where it must be, and an item
// is held up by no other.
func TestAnItemGoesBeforeAnOlderOneOnlyIfThatIsTooLateOrThereIsNoRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Window: 100 * time.Millisecond, Patience: time.Second, Most: rapid.SampledFrom([]int{20, 60, 1000}).Draw(t, "most")}
		names := []string{"idle"}
		var arrivals []passed
		for n := range rapid.IntRange(1, 5).Draw(t, "sources") {
			name := fmt.Sprint("n", n)
			names = append(names, name)
			skew := rapid.SampledFrom([]int{0, 0, 60, -150, 300, -1e6, 1e6}).Draw(t, "skew")
			slow := rapid.SampledFrom([]int{0, 30, 90, 250}).Draw(t, "slow")
			now, last := 0, 0
			for i := range rapid.IntRange(0, 50).Draw(t, "items") {
				now += rapid.IntRange(0, 20).Draw(t, "later")
				last = max(last, now+rapid.IntRange(0, slow).Draw(t, "delay"))
				arrivals = append(arrivals, passed{given: given{name, now + skew, fmt.Sprint(name, "#", i)}, came: at(last)})
			}
		}
		slices.SortStableFunc(arrivals, func(a, b passed) int { return a.came.Compare(b.came) })
		all := play(names, arrivals, l)
		if len(all) != len(arrivals) {
			t.Fatalf("%d of %d went on", len(all), len(arrivals))
		}
		for i, later := range all {
			here, most := later.went.Sub(later.came), l.Window
			if at(later.at).After(later.came) {
				most *= 2
			}
			if here > most {
				t.Fatalf("%s was here for %v", later.text, here)
			}
			for _, before := range all[:i] {
				early := at(before.at).After(before.came.Add(l.Window))
				waited := !before.went.Before(before.came.Add(l.Window)) || !before.went.Before(at(before.at).Add(l.Window))
				switch {
				case later.at >= before.at:
				case later.source == before.source:
					t.Fatalf("%s goes before %s of the same source", before.text, later.text)
				case early:
				case later.came.Before(before.went):
					t.Fatalf("%s goes while %s is here, which is older", before.text, later.text)
				case !waited && !before.crowded:
					t.Fatalf("%s, of %v, goes after %v, before %s, which is older", before.text, before.at, before.went.Sub(before.came), later.text)
				}
			}
		}
	})
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
