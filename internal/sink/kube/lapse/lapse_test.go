package lapse

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"weftnet.io/weftnet/internal/source/kube/apitest"
)

// clock is held by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) after(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestAnotherNodeTakesOverWhenALeaseHasNotChangedForItsTerm(t *testing.T) {
	server := apitest.New(t)
	c := &clock{at: time.Now()}
	hold, err := NewHold(server.Config(), "a", c.now)
	others, err2 := NewOthers(server.Config(), c.now)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	over := func() bool {
		t.Helper()
		yes, err := others.Over(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if c.after(time.Hour); over() {
		t.Error("a node without a Lease has lapsed")
	}
	renew := func(term time.Duration) {
		t.Helper()
		if err := hold.Renew(t.Context(), term); err != nil {
			t.Fatal(err)
		}
	}
	renew(40 * time.Second)
	for range 3 {
		if c.after(30 * time.Second); over() {
			t.Error("a node that renews its Lease has lapsed")
		}
		renew(40 * time.Second)
	}
	over() // the first look at this version
	if c.after(44 * time.Second); over() {
		t.Error("it has lapsed before its NICs are silent")
	}
	if c.after(2 * time.Second); !over() {
		t.Error("46 s after the first look it has not lapsed")
	}
	if renew(0); over() {
		t.Error("it has lapsed, and is back")
	}
	if c.after(time.Hour); over() {
		t.Error("a Lease without a term has lapsed")
	}
}

func TestANodeFallsSilentInTimeAndSpeaksWhenItIsBack(t *testing.T) {
	server := apitest.New(t)
	var mu sync.Mutex
	away, heard := true, make(chan string, 10)
	server.Fail(func(*http.Request) int {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return http.StatusServiceUnavailable
		}
		return 0
	})
	hold, err := NewHold(server.Config(), "a", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		over <- hold.Run(ctx, Needs{
			Term: func() time.Duration { return time.Second }, Any: func() bool { return true },
			Lapsed: func() error { heard <- "lapsed"; return nil },
			Back:   func(context.Context) error { heard <- "back"; return nil },
		})
	}()
	expect := func(want string) {
		t.Helper()
		if got := <-heard; got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
	expect("lapsed") // how long the agent before had no word is not known
	be := func(now bool) {
		mu.Lock()
		away = now
		mu.Unlock()
	}
	be(false)
	expect("back")
	be(true)
	expect("lapsed")
	be(false)
	expect("back")
	stop()
	<-over
}
