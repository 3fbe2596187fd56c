package churn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"weftnet.io/weftnet/internal/nettest/netns"
)

// path is a way by which a service is called, again and again.
type path struct {
	name    string
	from    *netns.Station
	network string           // tcp, udp
	to      []netip.AddrPort // of each family
	ports   chan int         // source ports that are free; nil: any

	sent, explained int
	reasons         map[string]int
	bad             []string // what nothing explains
}

// callers keep paths in use.
type callers struct {
	*model
	ctx     context.Context //nolint:containedctx // ends them
	outside *netns.Station
	stop    context.CancelFunc
	paths   []*path
	few     chan int   // source ports of datagrams from the outside
	mu      sync.Mutex // guards what paths count
	all     sync.WaitGroup
}

const (
	enough = 15 * time.Second       // for a call, on a machine that is busy
	pause  = 40 * time.Millisecond  // between calls
	word   = 50 * time.Millisecond  // between words of a conversation
	brief  = 500 * time.Millisecond // for a call that is to get no answer

	fewPorts = 100 // so that one port calls one backend by several ways again and again
)

func newCallers(m *model, outside *netns.Station) *callers {
	ctx, stop := context.WithCancel(context.Background())
	c := &callers{model: m, ctx: ctx, stop: stop, outside: outside, few: make(chan int, fewPorts)}
	for i := range fewPorts {
		c.few <- 20_000 + i
	}
	return c
}

// add begins to call by a path: new calls, and a conversation that goes on.
func (c *callers) add(name string, from *netns.Station, network string, to ...netip.AddrPort) {
	calls := &path{name: name, from: from, network: network, to: to, reasons: map[string]int{}}
	if from == c.outside && network == "udp" {
		calls.ports = c.few
	}
	c.paths = append(c.paths, calls)
	const atOnce = 2 // one that waits for an answer is not to be all
	for i := range atOnce {
		c.all.Go(func() { c.steadily(pause, uint64(i), calls.to, func(to netip.AddrPort) { c.call(calls, to) }) })
	}
	if network == "tcp" {
		talk := &path{name: name + ", conversations", from: from, network: network, to: to, reasons: map[string]int{}}
		c.paths = append(c.paths, talk)
		c.all.Go(func() { c.steadily(pause, atOnce, talk.to, func(to netip.AddrPort) { c.converse(talk, to) }) })
	}
}

// steadily does something until callers end, each time to an address of any family.
func (c *callers) steadily(every time.Duration, seed uint64, to []netip.AddrPort, do func(netip.AddrPort)) {
	random, tick := rand.New(rand.NewPCG(seed, 0)), time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
			do(to[random.IntN(len(to))])
		}
	}
}

// call makes one call and judges what came of it.
func (c *callers) call(p *path, to netip.AddrPort) {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	began := time.Now()
	answer, err := c.ask(ctx, p, to)
	why := ""
	if err == nil {
		err = c.answered(answer, p.network, began)
	} else {
		why = c.explains(began, time.Now(), err)
	}
	c.count(p, to, began, err, why)
}

// ask says hello once, and returns the answer.
func (c *callers) ask(ctx context.Context, p *path, to netip.AddrPort) (string, error) {
	port := 0
	if p.ports != nil {
		port = <-p.ports
		defer func() { p.ports <- port }()
	}
	talk, err := p.from.Open(ctx, p.network, port, to)
	if err != nil {
		return "", err
	}
	defer talk.Close()
	return talk.Say(ctx, "hello", 0)
}

// converse speaks with one backend until that goes, or callers end.
func (c *callers) converse(p *path, to netip.AddrPort) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	talk, err := p.from.Open(ctx, p.network, 0, to)
	cancel()
	if err != nil {
		c.count(p, to, began, err, c.explains(began, time.Now(), err))
		return
	}
	defer talk.Close()
	with, tick := "", time.NewTicker(word)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), enough)
		said := time.Now()
		answer, err := talk.Say(ctx, "hello", 0)
		cancel()
		switch {
		case err != nil && with == "":
			c.count(p, to, said, err, c.explains(began, time.Now(), err))
			return
		case err != nil:
			c.count(p, to, said, fmt.Errorf("with %q: %w", with, err), c.ended(with))
			return
		case with == "":
			with = answer
			err = c.answered(answer, p.network, began)
		case answer != with:
			err = fmt.Errorf("%q answers, where %q had", answer, with)
		}
		c.count(p, to, said, err, "")
		if err != nil || c.ended(with) != "" {
			return // the next one is with another
		}
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (c *callers) count(p *path, to netip.AddrPort, at time.Time, err error, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.sent++
	switch {
	case err == nil:
	case why != "":
		p.explained++
		p.reasons[why]++
	default:
		p.bad = append(p.bad, fmt.Sprintf("%s, to %v, at %s, until %s: %v", p.name, to, at.Format(clock), time.Now().Format(clock), err))
	}
}

const clock = "15:04:05.000"

// guest calls as one who is let in, or not, as a policy says, and finds that what is in force is what is said.
func (c *callers) guest(name string, from *netns.Station, to ...netip.AddrPort) {
	p := &path{name: name, from: from, network: "tcp", to: to, reasons: map[string]int{}}
	c.paths = append(c.paths, p)
	c.all.Go(func() {
		c.steadily(pause, 0, p.to, func(to netip.AddrPort) {
			patience := enough
			if _, denied := c.guests(time.Now()); denied {
				patience = brief
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			began := time.Now()
			answer, err := from.Dial(ctx, "tcp", to, 0, 0)
			ofNode := !strings.Contains(answer, "/") // the policy is about pods
			steady, denied := c.guests(began)
			switch {
			case !steady:
				c.count(p, to, began, nil, "")
			case denied && err == nil && !ofNode:
				c.count(p, to, began, fmt.Errorf("a guest was let in: %s", answer), "")
			case denied:
				c.count(p, to, began, nil, "")
			default:
				c.count(p, to, began, err, c.explains(began, time.Now(), err))
			}
		})
	})
}

// broken tells whether anything has happened that nothing explains.
func (c *callers) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.paths, func(p *path) bool { return len(p.bad) > 0 })
}

// end ends all calls and tells what came of them.
func (c *callers) end(printf func(string, ...any)) error {
	c.stop()
	c.all.Wait()
	var errs []error
	for _, p := range c.paths {
		printf("  %s: %d, %d of them failed and are explained, %d are not", p.name, p.sent, p.explained, len(p.bad))
		for _, why := range slices.Sorted(maps.Keys(p.reasons)) {
			printf("    %s: %d", why, p.reasons[why])
		}
		if p.sent == p.explained {
			errs = append(errs, fmt.Errorf("%s: nothing went through", p.name))
		}
		for i, text := range p.bad {
			if i == 10 {
				errs = append(errs, fmt.Errorf("%s: and %d more", p.name, len(p.bad)-i))
				break
			}
			errs = append(errs, errors.New(text))
		}
	}
	return errors.Join(errs...)
}
