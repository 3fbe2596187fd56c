package state_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
	"weftnet.io/weftnet/internal/state"
)

// service selects the pods with a label.
type service struct{ Name, Label string }

func (service) Header() []string { return []string{"NAME", "LABEL"} }
func (s service) Row() []string  { return []string{s.Name, s.Label} }

// backend is a pod that a service selects.
type backend struct {
	Service, Pod string
	Addr         netip.Addr
}

func (backend) Header() []string { return []string{"SERVICE", "POD", "ADDRESS"} }
func (b backend) Row() []string  { return []string{b.Service, b.Pod, b.Addr.String()} }

// owner says which pod has an address. Two pods that claim one make it contested.
type owner struct {
	Addr netip.Addr
	Pod  string
}

func (owner) Header() []string { return []string{"ADDRESS", "POD"} }
func (o owner) Row() []string  { return []string{o.Addr.String(), o.Pod} }

type world struct {
	pods     *state.Table[pod]
	services *state.Table[service]
	backends *state.Table[backend]
	owners   *state.Table[owner]
	db       *state.DB
	derive   func() []deriving
}

type deriving = state.AnyDerivation

func newWorld() *world {
	w := &world{
		pods: newPods(),
		services: state.NewTable("services", func(s service) state.Key { return state.Join(s.Name) },
			state.Index[service]{Name: "label", Keys: func(s service) []state.Key { return []state.Key{state.Key(s.Label)} }}),
		backends: state.NewTable("backends", func(b backend) state.Key { return state.Join(b.Service, b.Pod) }),
		owners:   state.NewTable("owners", func(o owner) state.Key { return state.Join(o.Addr) }),
	}
	w.db = state.New(w.pods, w.services, w.backends, w.owners)
	w.derive = func() []deriving { return []deriving{w.backendsOf(), w.ownersOf()} }
	return w
}

func (w *world) backendsOf() *state.Derivation[backend] {
	return &state.Derivation[backend]{
		Name: "backends", Out: w.backends,
		Inputs: []state.Input{
			state.On(w.services, func(_ state.Reader, s service) []state.Key { return []state.Key{w.services.Key(s)} }),
			state.On(w.pods, func(r state.Reader, p pod) (keys []state.Key) {
				for _, l := range p.Labels {
					for s := range w.services.By(r, "label", state.Key(l)) {
						keys = append(keys, w.services.Key(s))
					}
				}
				return keys
			}),
		},
		KeyOf: func(b backend) state.Key { return state.Join(b.Service) },
		Compute: func(r state.Reader, key state.Key) (rows []backend) {
			s, ok := w.services.One(r, key)
			if !ok {
				return nil
			}
			for p := range w.pods.By(r, "label", state.Key(s.Label)) {
				rows = append(rows, backend{s.Name, p.Name, p.Addr})
			}
			return rows
		},
	}
}

func (w *world) ownersOf() *state.Derivation[owner] {
	return &state.Derivation[owner]{
		Name: "owners", Out: w.owners,
		Inputs: []state.Input{state.On(w.pods, func(_ state.Reader, p pod) []state.Key { return []state.Key{w.pods.Key(p)} })},
		KeyOf:  func(o owner) state.Key { return state.Join(o.Pod) },
		Compute: func(r state.Reader, key state.Key) []owner {
			if p, ok := w.pods.One(r, key); ok {
				return []owner{{p.Addr, p.Name}}
			}
			return nil
		},
	}
}

// want computes both outputs from scratch.
func (w *world) want() (backends []backend, owners []owner) {
	s := w.db.Snapshot()
	for sv := range w.services.All(s) {
		for p := range w.pods.By(s, "label", state.Key(sv.Label)) {
			backends = append(backends, backend{sv.Name, p.Name, p.Addr})
		}
	}
	first := map[netip.Addr]owner{}
	for p := range w.pods.All(s) {
		if _, ok := first[p.Addr]; !ok {
			first[p.Addr] = owner{p.Addr, p.Name}
		}
	}
	return backends, slices.SortedFunc(maps.Values(first), func(a, b owner) int { return a.Addr.Compare(b.Addr) })
}

// differs tells how the outputs differ from what they should be.
func (w *world) differs() string {
	s := w.db.Snapshot()
	backends, owners := w.want()
	if got := slices.Collect(w.backends.All(s)); !slices.Equal(got, backends) {
		return fmt.Sprintf("backends are %v, want %v", got, backends)
	}
	if got := slices.Collect(w.owners.All(s)); !slices.Equal(got, owners) {
		return fmt.Sprintf("owners are %v, want %v", got, owners)
	}
	return ""
}

var serviceNames = rapid.SampledFrom([]string{"s", "t", "u"})

// change does one random thing to the inputs.
func (w *world) change(t *rapid.T, tx *state.Tx) {
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		w.services.Put(tx, service{serviceNames.Draw(t, "service"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "label")})
	case 1:
		w.services.Delete(tx, state.Join(serviceNames.Draw(t, "service")))
	case 2:
		w.pods.Delete(tx, state.Join(names.Draw(t, "pod")))
	default:
		w.pods.Put(tx, drawPod(t))
	}
}

func TestADerivationDoesNotDependOnThePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		ds := w.derive()
		for range rapid.IntRange(1, 30).Draw(t, "transactions") {
			_ = w.db.Write(func(tx *state.Tx) error {
				for range rapid.IntRange(1, 6).Draw(t, "changes") {
					w.change(t, tx)
				}
				return nil
			})
			for _, d := range ds {
				if rapid.Bool().Draw(t, "step") {
					d.Step(w.db)
				}
			}
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				ds = w.derive()
			}
		}
		for _, d := range ds {
			d.Step(w.db)
		}
		if w.backends.IsSynced(w.db.Snapshot()) {
			t.Fatal("synced before the inputs were")
		}
		_ = w.db.Write(func(tx *state.Tx) error { w.pods.MarkSynced(tx); w.services.MarkSynced(tx); return nil })
		for _, d := range ds {
			d.Step(w.db)
			if d.Step(w.db) {
				t.Fatal("a second pass changed something")
			}
		}
		if text := w.differs(); text != "" {
			t.Fatal(text)
		}
		if s := w.db.Snapshot(); !w.backends.IsSynced(s) || !w.owners.IsSynced(s) {
			t.Fatal("not synced though the inputs are")
		}
	})
}

func TestRowsNothingAccountsForStayUntilTheInputsAreSynced(t *testing.T) {
	w := newWorld()
	put(w.db, w.backends, backend{"old", "x", addr("10.0.0.9")})
	d := w.backendsOf()
	put(w.db, w.services, service{"s", "a"})
	put(w.db, w.pods, pod{"p", addr("10.0.0.1"), "a"})
	d.Step(w.db)
	if n := w.backends.Len(w.db.Snapshot()); n != 2 {
		t.Fatalf("%d rows before the inputs are synced, want the old and the new one", n)
	}
	_ = w.db.Write(func(tx *state.Tx) error { w.pods.MarkSynced(tx); w.services.MarkSynced(tx); return nil })
	d.Step(w.db)
	if text := w.differs(); text != "" && w.backends.Len(w.db.Snapshot()) != 1 {
		t.Fatal(text)
	}
}

func TestADerivationIsToldToForgetWhenItBeginsAnew(t *testing.T) {
	w := newWorld()
	d := w.backendsOf()
	var seen []string
	compute := d.Compute
	d.Begin = func() { seen = nil }
	d.Compute = func(r state.Reader, key state.Key) []backend {
		seen = append(seen, key.String())
		return compute(r, key)
	}
	put(w.db, w.services, service{"s", "a"})
	d.Step(w.db)
	put(w.db, w.services, service{"t", "a"})
	d.Step(w.db)
	if !slices.Equal(seen, []string{"s", "t"}) {
		t.Errorf("it remembers %v between two steps", seen)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_ = d.Run(ctx, w.db) // its feeds end with it
	d.Step(w.db)
	if !slices.Equal(seen, []string{"s", "t"}) {
		t.Errorf("after it has begun anew it remembers %v", seen)
	}
}

func TestPartialDerivationsKeepToTheirOwnRows(t *testing.T) {
	w := newWorld()
	out := state.NewTable("out", func(b backend) state.Key { return state.Join(b.Service, b.Pod) }).MadeBy("backends", "other")
	db := state.New(w.pods, w.services, out)
	d := w.backendsOf()
	d.Out, d.Partial = out, true
	put(db, out, backend{Service: "foreign"})
	put(db, w.services, service{"s", "a"})
	put(db, w.pods, pod{Name: "p", Labels: "a"})
	_ = db.Write(func(tx *state.Tx) error { w.pods.MarkSynced(tx); w.services.MarkSynced(tx); return nil })
	if !d.Step(db) || out.Len(db.Snapshot()) != 2 || out.IsSynced(db.Snapshot()) {
		t.Fatal("want its row beside the foreign one, and the table not synced while the other is not")
	}
	del(db, w.pods, state.Join("p"))
	if !d.Step(db) || out.Len(db.Snapshot()) != 1 {
		t.Fatal("want its row gone and the foreign one kept")
	}
	_ = db.Write(func(tx *state.Tx) error { out.MarkSyncedBy(tx, "other"); return nil })
	if !out.IsSynced(db.Snapshot()) {
		t.Fatal("want the table synced once both are")
	}
}

func TestNoWakeUpIsLost(t *testing.T) {
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			w, together := newWorld(), i%2 == 1
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			if together {
				running.Go(func() { _ = state.Together(ctx, w.db, w.derive()...) })
			} else {
				for _, d := range w.derive() {
					running.Go(func() { _ = d.Run(ctx, w.db) })
				}
			}
			followed := map[state.Key]pod{}
			running.Go(func() { follow(ctx, w.pods.Feed(w.db), followed) })
			var writers sync.WaitGroup
			for i := range 4 {
				writers.Go(func() {
					for j := range 50 {
						name := fmt.Sprint(j % 7)
						switch (i + j) % 5 {
						case 0:
							del(w.db, w.pods, state.Join(name))
						case 1:
							put(w.db, w.services, service{fmt.Sprint("s", j%3), string(rune('a' + j%2))})
						default:
							put(w.db, w.pods, pod{name, netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j)}), []string{"a", "b", "ab"}[j%3]})
						}
					}
				})
			}
			writers.Wait()
			_ = w.db.Write(func(tx *state.Tx) error { w.pods.MarkSynced(tx); w.services.MarkSynced(tx); return nil })
			synctest.Wait() // everybody sleeps, so everybody has seen everything, or never will
			if text := w.differs(); text != "" {
				t.Error(text)
			}
			if s := w.db.Snapshot(); !w.backends.IsSynced(s) || !w.owners.IsSynced(s) {
				t.Error("not synced though the inputs are")
			}
			if len(followed) != w.pods.Len(w.db.Snapshot()) {
				t.Errorf("the feed adds up to %d pods of %d", len(followed), w.pods.Len(w.db.Snapshot()))
			}
			stop()
			running.Wait()
		})
	}
}

func follow(ctx context.Context, f *state.Feed[pod], into map[state.Key]pod) {
	defer f.Close()
	for {
		changes, _, more := f.Next()
		for _, c := range changes {
			into[c.Key] = c.Row
			if c.Deleted {
				delete(into, c.Key)
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
	}
}

func TestMistakesOfADerivationAreNamed(t *testing.T) {
	for name, d := range map[string]func(w *world, d *state.Derivation[backend]){
		"output is an input": func(w *world, d *state.Derivation[backend]) {
			d.Inputs = append(d.Inputs, state.On(w.backends, func(state.Reader, backend) []state.Key { return nil }))
		},
		"partial without MadeBy": func(w *world, d *state.Derivation[backend]) { d.Partial = true },
		"a row of another owner": func(w *world, d *state.Derivation[backend]) {
			d.KeyOf = func(backend) state.Key { return "someone" }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			put(w.db, w.services, service{"s", "a"})
			put(w.db, w.pods, pod{Name: "p", Labels: "a"})
			bad := w.backendsOf()
			d(w, bad)
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			bad.Step(w.db)
		})
	}
}

func TestADerivationKnowsWhetherItHasCaughtUp(t *testing.T) {
	w := newWorld()
	d := w.backendsOf()
	if d.CaughtUp(w.db.Snapshot()) {
		t.Error("it has never run, and says that it has caught up")
	}
	for _, p := range []pod{{Name: "a", Labels: "x"}, {Name: "b", Labels: "y"}} {
		before := w.db.Snapshot()
		_ = w.db.Write(func(tx *state.Tx) error { w.pods.Put(tx, p); return nil })
		if d.CaughtUp(w.db.Snapshot()) {
			t.Errorf("it has not seen %s, and says that it has caught up", p.Name)
		}
		d.Step(w.db)
		if !d.CaughtUp(w.db.Snapshot()) || d.CaughtUp(before) {
			t.Errorf("it has seen %s, and does not say so", p.Name)
		}
	}
	_ = w.db.Write(func(tx *state.Tx) error { w.owners.Put(tx, owner{Pod: "a"}); return nil })
	if !d.CaughtUp(w.db.Snapshot()) {
		t.Error("a table that it does not follow has changed, and it feels behind")
	}
}
