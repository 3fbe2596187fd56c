package state_test

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/state"
)

// machine runs the database beside a plain map and compares every answer.
type machine struct {
	pods    *state.Table[pod]
	db      *state.DB
	model   map[string]pod
	synced  bool
	feeds   []*follower
	watches []*watch
	held    []holding
}

// follower is a feed and what it must have delivered so far.
type follower struct {
	feed    *state.Feed[pod]
	has     map[state.Key]pod
	touched map[state.Key]bool
	more    <-chan struct{}
}

// watch is a question, the answer it had, and the channel that must close when the answer changes.
type watch struct {
	what   string
	ask    func(*state.Snapshot) any
	answer any
	closes <-chan struct{}
}

// holding is an old snapshot and what it must hold forever.
type holding struct {
	s    *state.Snapshot
	rows []pod
}

var names = rapid.SampledFrom([]string{"", "a", "aa", "ab", "abc", "b", "ba", "\x00", "\x01", "a\x00", "a\x00b", "zz"})

func (m *machine) rows() []pod {
	var rows []pod
	for _, k := range slices.SortedFunc(maps.Keys(m.model), func(a, b string) int {
		return strings.Compare(string(state.Join(a)), string(state.Join(b)))
	}) {
		rows = append(rows, m.model[k])
	}
	return rows
}

func drawPod(t *rapid.T) pod {
	p := pod{Name: names.Draw(t, "name"), Labels: rapid.SampledFrom([]string{"", "a", "ab", "b", "bc", "abc"}).Draw(t, "labels")}
	p.Addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 3).Draw(t, "addr"))})
	return p
}

func (m *machine) touch(name string) {
	for _, f := range m.feeds {
		f.touched[state.Join(name)] = true
	}
}

func (m *machine) Write(t *rapid.T) {
	ops := rapid.IntRange(1, 12).Draw(t, "operations")
	abort := rapid.IntRange(0, 9).Draw(t, "abort") == 0
	model, before, changed := maps.Clone(m.model), m.db.Snapshot(), false
	var touched []string
	err := m.db.Write(func(tx *state.Tx) error {
		for range ops {
			p := drawPod(t)
			old, had := model[p.Name]
			if rapid.Bool().Draw(t, "delete") {
				got, ok := m.pods.Delete(tx, m.pods.Key(p))
				if got != old || ok != had {
					t.Fatalf("Delete(%q) = %v, %v, want %v, %v", p.Name, got, ok, old, had)
				}
				delete(model, p.Name)
				changed = changed || had
			} else {
				m.pods.Put(tx, p)
				model[p.Name] = p
				changed = changed || !had || old != p
			}
			touched = append(touched, p.Name)
			if got := m.pods.Len(tx); got != len(model) {
				t.Fatalf("Len = %d inside, want %d", got, len(model))
			}
			if got, ok := m.pods.One(tx, m.pods.Key(p)); ok != (model[p.Name] == p && got == p) {
				t.Fatalf("One(%q) = %v, %v inside", p.Name, got, ok)
			}
		}
		if abort {
			return fmt.Errorf("abort")
		}
		return nil
	})
	if abort != (err != nil) {
		t.Fatalf("Write = %v", err)
	}
	if (abort || !changed) && m.db.Snapshot() != before {
		t.Fatal("nothing was changed, yet there is a new snapshot")
	}
	if !abort {
		m.model = model
		for _, n := range touched {
			m.touch(n)
		}
	}
}

func (m *machine) MarkSynced(t *rapid.T) {
	_ = m.db.Write(func(tx *state.Tx) error { m.pods.MarkSynced(tx); return nil })
	m.synced = true
}

func (m *machine) OpenFeed(t *rapid.T) {
	if len(m.feeds) == 4 {
		m.feeds[0].feed.Close()
		m.feeds = m.feeds[1:]
	}
	f := &follower{feed: m.pods.Feed(m.db), has: map[state.Key]pod{}, touched: map[state.Key]bool{}}
	for n := range m.model {
		f.touched[state.Join(n)] = true
	}
	m.feeds = append(m.feeds, f)
}

func (m *machine) ReadFeed(t *rapid.T) {
	if len(m.feeds) == 0 {
		t.Skip("no feed")
	}
	f := m.feeds[rapid.IntRange(0, len(m.feeds)-1).Draw(t, "feed")]
	changes, s, more := f.feed.Next()
	if s != m.db.Snapshot() {
		t.Fatal("Next is not up to date")
	}
	if len(changes) > 0 && f.more != nil && !closed(f.more) {
		t.Fatal("there were changes, but no watch channel was closed")
	}
	f.more = more
	seen := map[state.Key]bool{}
	for _, c := range changes {
		old, had := f.has[c.Key]
		switch {
		case seen[c.Key]:
			t.Fatalf("%s came twice", c.Key)
		case !f.touched[c.Key]:
			t.Fatalf("%s came, but was not touched", c.Key)
		case c.HadOld != had || had && c.Old != old:
			t.Fatalf("%s: Old = %v, %v, want %v, %v", c.Key, c.Old, c.HadOld, old, had)
		case c.Deleted && (!had || c.Row != old):
			t.Fatalf("%s deleted as %v, delivered was %v, %v", c.Key, c.Row, old, had)
		}
		seen[c.Key] = true
		f.has[c.Key] = c.Row
		if c.Deleted {
			delete(f.has, c.Key)
		}
	}
	f.touched = map[state.Key]bool{}
	want := map[state.Key]pod{}
	for n, p := range m.model {
		want[state.Join(n)] = p
	}
	if !maps.Equal(f.has, want) {
		t.Fatalf("the feed adds up to %v, want %v", f.has, want)
	}
}

func (m *machine) Watch(t *rapid.T) {
	s, w := m.db.Snapshot(), &watch{}
	name, label := names.Draw(t, "name"), state.Key(rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "label"))
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		w.what = fmt.Sprintf("One(%q)", name)
		w.ask = func(s *state.Snapshot) any {
			p, ok := m.pods.One(s, state.Join(name))
			return fmt.Sprint(p, ok)
		}
		_, _, w.closes = m.pods.WatchOne(s, state.Join(name))
	case 1:
		w.what = fmt.Sprintf("By(%q)", label)
		w.ask = func(s *state.Snapshot) any { return slices.Collect(m.pods.By(s, "label", label)) }
		_, w.closes = m.pods.WatchBy(s, "label", label)
	case 2:
		w.what = "All"
		w.ask = func(s *state.Snapshot) any { return fmt.Sprint(m.pods.Rows(s), m.pods.Synced(s)) }
		w.closes = m.pods.WatchAll(s)
	}
	w.answer = w.ask(s)
	m.watches = append(m.watches, w)
}

func (m *machine) Hold(t *rapid.T) { m.held = append(m.held, holding{m.db.Snapshot(), m.rows()}) }

// Check compares every query with the model after every step.
func (m *machine) Check(t *rapid.T) {
	s := m.db.Snapshot()
	for _, h := range append(m.held, holding{s, m.rows()}) {
		if got := slices.Collect(m.pods.All(h.s)); !slices.Equal(got, h.rows) || m.pods.Len(h.s) != len(h.rows) {
			t.Fatalf("All = %v, want %v", got, h.rows)
		}
	}
	for _, label := range []string{"a", "b", "c"} {
		var want []pod
		for _, p := range m.rows() {
			if strings.Contains(p.Labels, label) {
				want = append(want, p)
			}
		}
		if got := slices.Collect(m.pods.By(s, "label", state.Key(label))); !slices.Equal(got, want) {
			t.Fatalf("By(label %s) = %v, want %v", label, got, want)
		}
	}
	if m.pods.IsSynced(s) != m.synced {
		t.Fatalf("IsSynced = %v", !m.synced)
	}
	m.watches = slices.DeleteFunc(m.watches, func(w *watch) bool {
		if now := w.ask(s); !reflect.DeepEqual(now, w.answer) && !closed(w.closes) {
			t.Fatalf("%s was %v, is %v, and the watch is silent", w.what, w.answer, now)
		}
		return closed(w.closes)
	})
}

func TestEveryAnswerIsThatOfAPlainMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pods := newPods()
		m := &machine{pods: pods, db: state.New(pods), model: map[string]pod{}}
		t.Repeat(map[string]func(*rapid.T){
			"write": m.Write, "sync": m.MarkSynced, "open": m.OpenFeed, "read": m.ReadFeed, "watch": m.Watch, "hold": m.Hold, "": m.Check,
		})
	})
}

func TestAWatchFiresInATransactionTooLargeToTrack(t *testing.T) {
	pods := newPods()
	db := state.New(pods)
	var rows []pod
	for i := range 20000 {
		rows = append(rows, pod{Name: fmt.Sprint("pod", i), Labels: "x"})
	}
	put(db, pods, rows...)
	put(db, pods, pod{Name: "other", Labels: "y"})
	s := db.Snapshot()
	_, _, one := pods.WatchOne(s, state.Join("pod77"))
	_, _, missing := pods.WatchOne(s, state.Join("pod77x"))
	_, other := pods.WatchBy(s, "label", "y")
	_, by := pods.WatchBy(s, "label", "x")
	for i := range rows {
		rows[i].Addr = addr("10.0.0.1")
	}
	put(db, pods, append(rows, pod{Name: "pod77x", Labels: "x"})...)
	if !closed(one) || !closed(missing) || !closed(by) {
		t.Error("a watch is silent")
	}
	if closed(other) {
		t.Error("a watch fired though nothing near it changed")
	}
}
