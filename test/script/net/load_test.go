package net

import (
	"fmt"
	"time"

	"weftnet.io/weftnet/internal/nettest/load"
)

// loadCommands are about traffic that goes on while something happens.
var loadCommands = map[string]command{"keep": keep, "kept": kept}

// keep begins to ping and to send datagrams, and words on one TCP connection, from one place to another.
func keep(l *line) error {
	from, err := l.place(l.arg(1))
	if err != nil {
		return err
	}
	to, err := l.place(l.arg(2))
	if err != nil {
		return err
	}
	traffic := load.New()
	l.loads[l.arg(0)] = traffic
	for _, at := range to.Addresses {
		name := fmt.Sprint(l.arg(1), " to ", at)
		if err := traffic.Ping("pings from "+name, from, at, time.Millisecond); err != nil {
			return err
		}
		if err := traffic.Datagrams("datagrams from "+name, from, to, at, 5*time.Millisecond); err != nil {
			return err
		}
		if err := traffic.Stream("words from "+name, from, to, at, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// kept ends that and tells what was lost.
func kept(l *line) error {
	traffic := l.loads[l.arg(0)]
	if traffic == nil {
		return errUsage
	}
	delete(l.loads, l.arg(0))
	counts := traffic.Stop()
	for _, c := range counts {
		if err := l.printf("%s\n", c); err != nil {
			return err
		}
	}
	return load.Verdict(counts)
}
