package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

type route struct {
	Dst, Via string
	Note     string // the fake kernel does not keep it
}

func (route) Header() []string { return []string{"DESTINATION", "VIA"} }
func (r route) Row() []string  { return []string{r.Dst, r.Via} }

// kernel is a sink that fails now and then, and watches how it is used.
type kernel struct {
	t      *testing.T
	routes *state.Table[route]
	db     *state.DB

	mu     sync.Mutex
	has    map[state.Key]route
	dumps  int
	log    []string
	faults float64          // share of rows and calls that fail
	refuse map[string]error // destinations that always fail
}

func (k *kernel) fault() error {
	if rand.Float64() < k.faults {
		return errors.New("device or resource busy")
	}
	return nil
}

func (k *kernel) Dump(context.Context) (iter.Seq2[state.Key, route], error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dumps++
	if err := k.fault(); err != nil {
		return nil, err
	}
	return maps.All(maps.Clone(k.has)), nil
}

func (k *kernel) Set(_ context.Context, rows []route) error {
	return k.each("set", rows, func(r route) { k.has[k.routes.Key(r)] = route{Dst: r.Dst, Via: r.Via} })
}

func (k *kernel) Unset(_ context.Context, rows []route) error {
	if !k.routes.IsSynced(k.db.Snapshot()) {
		k.t.Error("something is removed before the table is synced")
	}
	return k.each("unset", rows, func(r route) { delete(k.has, k.routes.Key(r)) })
}

func (k *kernel) each(verb string, rows []route, do func(route)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fault(); err != nil {
		return fmt.Errorf("%s all: %w", verb, err)
	}
	var errs []error
	for _, r := range rows {
		err := k.fault()
		if k.refuse[r.Dst] != nil {
			errs = append(errs, &reconcile.RowError{Key: k.routes.Key(r), Err: k.refuse[r.Dst]})
			continue
		}
		if err != nil {
			errs = append(errs, &reconcile.RowError{Key: k.routes.Key(r), Err: err})
			if rand.IntN(2) == 0 {
				do(r) // an error does not mean that nothing was done
			}
			continue
		}
		do(r)
		k.log = append(k.log, verb+" "+r.Dst+" "+r.Via)
	}
	return errors.Join(errs...)
}

// Equal leaves out the note, which Dump cannot tell.
func (k *kernel) Equal(want, have route) bool { return want.Dst == have.Dst && want.Via == have.Via }

func (k *kernel) holds(r ...route) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	want := map[state.Key]route{}
	for _, r := range r {
		r.Note = ""
		want[k.routes.Key(r)] = r
	}
	return maps.Equal(want, k.has)
}

func (k *kernel) at(key state.Key) (route, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.has[key]
	return r, ok
}

// tamper changes the kernel, or how it fails, behind the loop's back.
func (k *kernel) tamper(how func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	how()
}

func (k *kernel) done() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := strings.Join(k.log, ", ")
	k.log = nil
	return out
}

type bench struct {
	*kernel
	loop *reconcile.Loop[route]
	ctx  context.Context
}

// inBubble runs a test with a loop, in a bubble where time passes when everybody waits.
func inBubble(t *testing.T, test func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		routes := state.NewTable("routes", func(r route) state.Key { return state.Join(r.Dst) })
		b := &bench{kernel: &kernel{t: t, routes: routes, db: state.New(routes, status.Statuses), has: map[state.Key]route{}, refuse: map[string]error{}}}
		b.loop = &reconcile.Loop[route]{Table: routes, Sink: b.kernel}
		var stop context.CancelFunc
		b.ctx, stop = context.WithCancel(t.Context())
		test(t, b)
		stop()
		synctest.Wait()
	})
}

func (b *bench) run() { go func() { _ = b.loop.Run(b.ctx, b.db) }() }

func (b *bench) put(rows ...route) {
	_ = b.db.Write(func(tx *state.Tx) error {
		for _, r := range rows {
			b.routes.Put(tx, r)
		}
		return nil
	})
}

func (b *bench) del(dst string) {
	_ = b.db.Write(func(tx *state.Tx) error { b.routes.Delete(tx, state.Join(dst)); return nil })
}

func (b *bench) sync() {
	_ = b.db.Write(func(tx *state.Tx) error { b.routes.MarkSynced(tx); return nil })
}

func (b *bench) status(dst string) string {
	s, ok := status.Statuses.One(b.db.Snapshot(), state.Join("routes", state.Join(dst)))
	if dst == "" {
		s, ok = status.Statuses.One(b.db.Snapshot(), state.Join("routes", ""))
	}
	if !ok {
		return "none"
	}
	return strings.TrimSpace(fmt.Sprint(s.Done, s.Attempts, " ", s.Err))
}

func TestAFaultySinkConvergesUnderRandomChanges(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("seed %d quiet %v", seed, quiet), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench) { randomChanges(t, b, rand.New(rand.NewPCG(seed, 0)), quiet) })
			})
		}
	}
}

func randomChanges(t *testing.T, b *bench, rnd *rand.Rand, quiet bool) {
	b.faults = 0.1
	if quiet {
		b.loop.Quiet = func(route) bool { return true }
	}
	b.has[state.Join("stale")] = route{Dst: "stale"}
	b.run()
	for i := range 300 {
		dst := fmt.Sprint(rnd.IntN(15))
		if rnd.IntN(3) == 0 {
			b.del(dst)
		} else {
			b.put(route{Dst: dst, Via: fmt.Sprint(rnd.IntN(3))})
		}
		switch {
		case i == 150:
			b.sync()
		case rnd.IntN(3) == 0:
			time.Sleep(time.Duration(rnd.Int64N(2e8))) // of the bubble
		}
	}
	var want []route
	for r := range b.routes.All(b.db.Snapshot()) {
		want = append(want, r)
		if is, _ := b.at(b.routes.Key(r)); is != r && status.Realised(b.db.Snapshot(), b.routes, b.routes.Key(r)) {
			t.Errorf("%v counts as realised before it is in place", r)
		}
	}
	for i := range 15 {
		key := state.Join(fmt.Sprint(i))
		if b.routes.Revision(b.db.Snapshot(), key) != 0 {
			continue
		}
		if err := status.AwaitGone(t.Context(), b.db, b.routes, key); err != nil {
			t.Error(err)
		}
		if _, ok := b.at(key); ok {
			t.Errorf("AwaitGone returned before %s was gone", key)
		}
	}
	time.Sleep(time.Hour) // of the bubble
	for _, r := range want {
		if !status.Realised(b.db.Snapshot(), b.routes, b.routes.Key(r)) {
			t.Errorf("%v is in place and does not count as realised", r)
		}
	}
	if !b.holds(want...) {
		t.Errorf("the kernel holds %v, want %v", b.has, want)
	}
	left := status.Statuses.Len(b.db.Snapshot()) - 1
	if quiet && left > 0 || !quiet && left != len(want) {
		t.Errorf("%d statuses for %d rows", left, len(want))
	}
}

func TestRowsAreSetBeforeTheTableIsSyncedAndRemovedOnlyAfter(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.has[state.Join("stale")] = route{Dst: "stale"}
		b.run()
		b.put(route{Dst: "a"}, route{Dst: "b"})
		synctest.Wait()
		b.del("b")
		time.Sleep(time.Hour)
		if !b.holds(route{Dst: "a"}, route{Dst: "b"}, route{Dst: "stale"}) {
			t.Errorf("before sync the kernel holds %v", b.has)
		}
		if got := b.status("b"); got != "false 0 its removal waits until routes is synced" {
			t.Errorf("status of b is %q", got)
		}
		b.sync()
		synctest.Wait()
		if !b.holds(route{Dst: "a"}) {
			t.Errorf("after sync the kernel holds %v", b.has)
		}
		if b.status("b") != "none" || b.status("") != "true 0" {
			t.Errorf("statuses are %q, %q", b.status("b"), b.status(""))
		}
	})
}

func TestAPatientLoopTouchesNothingBeforeTheTableIsSynced(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.loop.WaitSynced = true
		b.run()
		b.put(route{Dst: "a"})
		time.Sleep(time.Hour)
		if got := b.done(); got != "" || status.Realised(b.db.Snapshot(), b.routes, state.Join("a")) {
			t.Errorf("it did %q", got)
		}
		b.sync()
		synctest.Wait()
		if got := b.done(); got != "set a " || !status.Realised(b.db.Snapshot(), b.routes, state.Join("a")) {
			t.Errorf("after sync it did %q", got)
		}
	})
}

func TestWhoComesAfterALoopWaitsForItsFirstRoundAndForNoRowThatFails(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.loop.WaitSynced = true
		b.refuse["b"] = errors.New("no space")
		b.run()
		b.put(route{Dst: "a"}, route{Dst: "b"})
		first := make(chan error, 1)
		go func() { first <- status.AwaitFirst(b.ctx, b.db, b.routes) }()
		time.Sleep(time.Hour)
		select {
		case err := <-first:
			t.Errorf("it waited for nothing (%v)", err)
		default:
		}
		b.sync()
		if err := <-first; err != nil || !b.holds(route{Dst: "a"}) {
			t.Errorf("the kernel holds %v, error %v", b.has, err)
		}
	})
	inBubble(t, func(t *testing.T, b *bench) { // a table without rows
		b.loop.WaitSynced = true
		b.run()
		b.sync()
		if err := status.AwaitFirst(b.ctx, b.db, b.routes); err != nil {
			t.Error(err)
		}
	})
}

func TestARestartWritesNothingThatIsInPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		a := route{Dst: "a", Via: "1", Note: "not told by Dump"}
		b.has[state.Join("a")], b.has[state.Join("b")] = route{Dst: "a", Via: "1"}, route{Dst: "b", Via: "old"}
		b.has[state.Join("c")] = route{Dst: "c"}
		b.put(a, route{Dst: "b", Via: "new"}, route{Dst: "d"})
		b.sync()
		b.run()
		synctest.Wait()
		if got := b.done(); got != "set b new, set d , unset c " {
			t.Errorf("it did %q", got)
		}
		if !status.Realised(b.db.Snapshot(), b.routes, state.Join("a")) {
			t.Error("what was in place already has no status")
		}
	})
}

func TestWhatOthersChangeIsRepaired(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.put(route{Dst: "a", Via: "1"})
		b.sync()
		b.run()
		synctest.Wait()
		b.tamper(func() {
			delete(b.has, state.Join("a"))
			b.has[state.Join("x")] = route{Dst: "x"}
		})
		time.Sleep(6 * time.Minute)
		if !b.holds(route{Dst: "a", Via: "1"}) {
			t.Errorf("the kernel holds %v", b.has)
		}
	})
}

// watched is a sink that hears of what others do.
type watched struct {
	*kernel
	heard chan state.Key // empty: it is not known which
}

func (w watched) Watch(ctx context.Context, changed func(state.Key, *route)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case k := <-w.heard:
			if have, ok := w.at(k); ok {
				changed(k, &have)
			} else {
				changed(k, nil)
			}
		}
	}
}

func TestWhatASinkHearsOfIsRepairedAtOnceAndTold(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		var log bytes.Buffer
		w := watched{b.kernel, make(chan state.Key)}
		b.loop.Sink, b.loop.Log = w, slog.New(slog.NewTextHandler(&log, nil))
		b.put(route{Dst: "a", Via: "1"}, route{Dst: "b", Via: "1"})
		b.sync()
		b.run()
		synctest.Wait()
		b.done()
		w.heard <- state.Join("a") // its own doing: it is as it should be
		w.heard <- state.Join("c") // of no row
		synctest.Wait()
		if did := b.done(); did != "" || log.Len() > 0 {
			t.Errorf("nothing was changed, and it did %q and said %s", did, &log)
		}
		for key, how := range map[string]func(){
			"a": func() { b.has[state.Join("a")] = route{Dst: "a", Via: "theirs"} },
			"b": func() { delete(b.has, state.Join("b")) },
			"":  func() { b.has[state.Join("x")] = route{Dst: "x"} },
		} {
			b.tamper(how)
			k := state.Join(key)
			if key == "" {
				k = ""
			}
			w.heard <- k
			synctest.Wait()
			if !b.holds(route{Dst: "a", Via: "1"}, route{Dst: "b", Via: "1"}) {
				t.Errorf("%q: the kernel holds %v", key, b.has)
			}
		}
		if said := strings.Count(log.String(), "another program has changed"); said != 1 {
			t.Errorf("within a minute it said %d times:\n%s", said, &log)
		}
		// What changes one row changes another, which is not heard of.
		b.tamper(func() { delete(b.has, state.Join("a")); delete(b.has, state.Join("b")) })
		w.heard <- state.Join("a")
		time.Sleep(10 * time.Second)
		if !b.holds(route{Dst: "a", Via: "1"}, route{Dst: "b", Via: "1"}) {
			t.Errorf("after some seconds the kernel holds %v", b.has)
		}
	})
}

// A loop that is quiet of a row keeps no status of it, and knows all the same that it was in place.
func TestWhatAComparisonFindsChangedIsTold(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench) {
			var log bytes.Buffer
			b.loop.Log, b.loop.Quiet = slog.New(slog.NewTextHandler(&log, nil)), func(route) bool { return quiet }
			b.put(route{Dst: "a", Via: "1"})
			b.sync()
			b.run()
			synctest.Wait()
			if log.Len() > 0 {
				t.Errorf("nothing was changed, and it said %s", &log)
			}
			b.tamper(func() { delete(b.has, state.Join("a")) })
			time.Sleep(time.Hour) // of the bubble
			if said := strings.Count(log.String(), "another program has changed"); said != 1 || !b.holds(route{Dst: "a", Via: "1"}) {
				t.Errorf("quiet %v: it said %d times that a row was changed, and the kernel holds %v", quiet, said, b.has)
			}
		})
	}
}

func TestARowThatFailsHoldsUpNoOtherAndSaysWhy(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.refuse["bad"] = errors.New("no such device")
		b.sync()
		b.run()
		b.put(route{Dst: "bad"}, route{Dst: "good"})
		synctest.Wait()
		if !b.holds(route{Dst: "good"}) || b.status("bad") != "false 1 set: no such device" || b.status("") != "false 1 1 rows are not in place, of which bad: set: no such device" {
			t.Errorf("holds %v, status %q, %q", b.has, b.status("bad"), b.status(""))
		}
		time.Sleep(time.Hour)
		if b.dumps < 50 || b.dumps > 200 {
			t.Errorf("%d comparisons in an hour of failure: want them about every minute", b.dumps)
		}
		b.tamper(func() { delete(b.refuse, "bad") })
		b.put(route{Dst: "bad", Via: "another"}) // a new version is tried at once
		synctest.Wait()
		if !status.Realised(b.db.Snapshot(), b.routes, state.Join("bad")) || b.status("") != "true 0" {
			t.Errorf("status %q, %q", b.status("bad"), b.status(""))
		}
	})
}

func TestRealisedIsAboutThisVersionOfTheRow(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.sync()
		b.run()
		b.put(route{Dst: "a", Via: "1"})
		synctest.Wait()
		b.tamper(func() { b.refuse["a"] = errors.New("no") })
		b.put(route{Dst: "a", Via: "2"})
		s := b.db.Snapshot()
		if status.Realised(s, b.routes, state.Join("a")) || !status.EverRealised(s, b.routes, state.Join("a")) {
			t.Error("the new version counts as realised before it was tried, or the old one as never")
		}
		synctest.Wait()
		s = b.db.Snapshot()
		if status.Realised(s, b.routes, state.Join("a")) || !status.EverRealised(s, b.routes, state.Join("a")) {
			t.Error("the new version counts as realised though it failed, or the old one as never")
		}
	})
}

func TestAwaitGoneSaysWhatStandsInTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.sync()
		b.run()
		b.put(route{Dst: "a"})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := status.AwaitGone(ctx, b.db, b.routes, state.Join("a")); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "wait until routes a is gone: the row is still there") {
			t.Errorf("of a row that stays: %v", err)
		}
		b.tamper(func() { b.refuse["a"] = errors.New("no such device") })
		b.del("a")
		ctx, cancel = context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := status.AwaitGone(ctx, b.db, b.routes, state.Join("a")); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "wait until routes a is gone: remove: no such device (attempt ") {
			t.Errorf("of one whose removal fails: %v", err)
		}
		b.tamper(func() { delete(b.refuse, "a") })
		if err := status.AwaitGone(t.Context(), b.db, b.routes, state.Join("a")); err != nil {
			t.Errorf("of one that can be removed: %v", err)
		}
	})
}

func TestADumpThatFailsIsToldAndTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.faults = 1
		b.sync()
		b.run()
		time.Sleep(10 * time.Second)
		if got := b.status(""); !strings.HasSuffix(got, "dump routes: device or resource busy") || b.dumps < 5 {
			t.Errorf("status %q after %d dumps", got, b.dumps)
		}
		b.tamper(func() { b.faults = 0 })
		time.Sleep(2 * time.Minute)
		if got := b.status(""); got != "true 0" {
			t.Errorf("status %q", got)
		}
	})
}
