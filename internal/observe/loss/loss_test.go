package loss

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/journal"
)

// agents watch a counter one after the other, and are told apart by what they tell.
type agents struct {
	t     *testing.T
	dir   string
	boot  string
	count uint64
	wrong error
	began time.Time
	told  []string
	stop  func()
}

// start starts one, which tells "NUMBER in FIRST-LAST", in seconds since the test began.
func (a *agents) start() {
	ctx, cancel := context.WithCancel(a.t.Context())
	done := make(chan struct{})
	w := Watch{
		Count: func() (uint64, error) { return a.count, a.wrong }, Notes: journal.Dir[Note]{Path: a.dir}, Boot: a.boot, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	go func() {
		defer close(done)
		w.Run(ctx, func(n uint64, first, last time.Time) {
			a.told = append(a.told, fmt.Sprintf("%d in %v-%v", n, first.Sub(a.began).Seconds(), last.Sub(a.began).Seconds()))
		})
	}()
	a.stop = func() { cancel(); <-done }
}

// after lets so many seconds pass, and a little so that agents have done what they do then.
func (a *agents) after(seconds int, lose uint64) {
	a.count += lose
	time.Sleep(time.Duration(seconds) * time.Second)
	synctest.Wait()
}

func (a *agents) want(all ...string) {
	a.t.Helper()
	if !slices.Equal(a.told, all) {
		a.t.Errorf("told %q, want %q", a.told, all)
	}
	a.told = nil
}

func world(t *testing.T, test func(a *agents)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := &agents{t: t, dir: dir, boot: "1", began: time.Now(), count: 5}
		a.start()
		test(a)
		a.stop()
	})
}

func TestWhatIsLostWhileAnAgentRunsIsToldWithItsTime(t *testing.T) {
	world(t, func(a *agents) {
		a.after(1, 0)
		a.after(1, 7)
		a.after(1, 0)
		a.wrong = errors.New("no map")
		a.after(5, 2)
		a.wrong = nil
		a.after(1, 1)
		a.want("7 in 1-2", "3 in 3-9")
	})
}

func TestWhatIsLostWhileNoAgentRunsIsToldByTheNext(t *testing.T) {
	world(t, func(a *agents) {
		a.after(3, 0)
		a.stop()
		a.after(60, 9)
		a.start()
		a.after(1, 0)
		a.want("9 in 0-63")
		a.after(100, 0)
		a.stop()
		a.after(1, 4)
		a.start()
		a.after(1, 0)
		a.want("4 in 123-165") // a note is a minute old at most
	})
}

func TestWhatAnAgentToldInItsLastSecondIsToldAgain(t *testing.T) {
	world(t, func(a *agents) {
		a.after(3, 0)
		a.after(1, 2)
		a.stop() // its clients may not have heard it
		a.start()
		a.after(1, 0)
		a.want("2 in 3-4", "2 in 0-4")
		a.after(2, 0)
		a.stop()
		a.start()
		a.after(1, 0)
		a.want()
	})
}

func TestOfAnotherBootOrAnotherCounterNothingIsKnown(t *testing.T) {
	world(t, func(a *agents) {
		a.after(3, 0)
		a.stop()
		a.boot = "2"
		a.after(1, 9)
		a.start()
		a.after(3, 0)
		a.stop()
		a.count = 3
		a.start()
		a.after(3, 0)
		a.want()
		a.after(1, 1)
		a.want("1 in 10-11")
	})
}
