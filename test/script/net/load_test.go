package net

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"weftnet.io/weftnet/internal/nettest/load"
	"weftnet.io/weftnet/internal/nettest/netns"
	"weftnet.io/weftnet/internal/nettest/pace"
)

// loadCommands are about traffic that goes on while something happens.
var loadCommands = map[string]command{"keep": keep, "intrude": intrude, "calls": calls, "kept": kept, "alternate": alternate}

// often is the time between two packets of one kind; on a slow machine there are fewer.
var often = pace.Slow(time.Millisecond)

// keep begins to ping and to send datagrams, and words on one TCP connection, from one station to another.
func keep(l *line) error {
	return l.begin(func(traffic *load.Load, name string, from, to *netns.Station, at netip.Addr) error {
		return errors.Join(
			traffic.Ping("pings from "+name, from, at, often),
			traffic.Datagrams("datagrams from "+name, from, to, at, 5*often),
			traffic.Stream("words from "+name, from, to, at, 5*often),
		)
	})
}

// intrude begins to send datagrams that are not to arrive.
func intrude(l *line) error {
	return l.begin(func(traffic *load.Load, name string, from, to *netns.Station, at netip.Addr) error {
		return traffic.Intrude("datagrams from "+name, from, to, at, often)
	})
}

// calls begins to call a service or a station, anew each time, one call after the other of each family.
func calls(l *line) error {
	from, err := l.station(l.arg(1))
	if err != nil {
		return err
	}
	targets, err := l.target(l.arg(2))
	if err != nil {
		return err
	}
	traffic, network := load.New(), l.network()
	l.loads[l.arg(0)] = traffic
	for _, to := range targets {
		traffic.Call(fmt.Sprintf("%s calls of %s by %s", network, to, l.arg(1)), 5*often, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, patient)
			defer cancel()
			_, err := from.Dial(ctx, network, to, 0, 0)
			return err
		})
	}
	return nil
}

// begin makes a load of a name, with lines for each address of its target.
func (l *line) begin(lines func(traffic *load.Load, name string, from, to *netns.Station, at netip.Addr) error) error {
	from, err := l.station(l.arg(1))
	if err != nil {
		return err
	}
	to, err := l.station(l.arg(2))
	if err != nil {
		return err
	}
	traffic := load.New()
	l.loads[l.arg(0)] = traffic
	for _, at := range to.Addresses {
		if err := lines(traffic, fmt.Sprint(l.arg(1), " to ", at), from, to, at); err != nil {
			return err
		}
	}
	return nil
}

// kept ends loads and tells what became of them.
func kept(l *line) error {
	var errs []error
	for _, name := range l.args {
		traffic := l.loads[name]
		if traffic == nil {
			return fmt.Errorf("nothing is kept by the name %q", name)
		}
		delete(l.loads, name)
		counts := traffic.Stop()
		for _, c := range counts {
			errs = append(errs, l.printf("%s\n", c))
		}
		errs = append(errs, load.Verdict(counts))
	}
	return errors.Join(errs...)
}

// alternate applies one file after the other, so many in all, or fewer on a machine that is slow.
func alternate(l *line) error {
	times, err := strconv.Atoi(l.arg(0))
	if err != nil || len(l.args) < 2 {
		return errUsage
	}
	for i := range pace.Fewer(times) {
		if err := l.change(l.args[1+i%(len(l.args)-1)]); err != nil {
			return fmt.Errorf("change %d: %w", i+1, err)
		}
	}
	return nil
}

// change applies a file, with the patience of a command of its own.
func (l *line) change(file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	return l.Apply(ctx, []byte(l.ts.ReadFile(file)))
}
