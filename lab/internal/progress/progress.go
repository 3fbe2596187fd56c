// Package progress tells a waiting person what the lab is doing: one line per step, with the time since the start and the time the
// step took.
//
//	[   4.1s] control plane: API server ready                             3.2s
//
// A step that lasts gets a sign of life every 20 seconds, so that a cold build is not mistaken for a hang. Steps may overlap.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const heartbeat = 20 * time.Second

// Printer writes the lines. The zero value is not usable; see New.
type Printer struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// New starts the clock.
func New(out io.Writer) *Printer { return &Printer{out: out, start: time.Now()} }

func (p *Printer) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "[%7.1fs] %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// Note prints one line that is not a step.
func (p *Printer) Note(format string, args ...any) { p.line(format, args...) }

// Do runs one step and prints it when it is done. A failed step is printed too; its error is only returned.
func (p *Printer) Do(what string, step func() error) error {
	begin := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				p.line("%s … still at it", what)
			}
		}
	})
	err := step()
	close(stop)
	wg.Wait()
	mark := ""
	if err != nil {
		mark = "  FAILED"
	}
	p.line("%-64s %6.1fs%s", what, time.Since(begin).Seconds(), mark)
	return err
}
