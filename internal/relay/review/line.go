package review

import (
	"context"
	"sync"
)

// line lets few questions of one asker be under way at a time; its others wait. Who asks much waits for itself, not others for it.
type line struct {
	most int

	mu   sync.Mutex
	each map[string]*counter
}

// counter is where one asker waits.
type counter struct {
	places chan struct{}
	here   int // who has a place, or waits for one
}

func newLine(most int) *line { return &line{most: most, each: map[string]*counter{}} }

// enter waits for a place until ctx ends.
func (l *line) enter(ctx context.Context, asker string) (leave func(), err error) {
	l.mu.Lock()
	c := l.each[asker]
	if c == nil {
		c = &counter{places: make(chan struct{}, l.most)}
		l.each[asker] = c
	}
	c.here++
	l.mu.Unlock()
	gone := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.here--; c.here == 0 {
			delete(l.each, asker)
		}
	}
	select {
	case c.places <- struct{}{}:
		return func() { <-c.places; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}
