package net

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"golang.org/x/sync/errgroup"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/netns"
)

// packets calls as a table says, `FROM TO PROTOCOL[/PORT] allow|deny [POLICY]` a line, all lines at once and each in both
// families. A call that is denied meets silence, and a flow names the policy.
func packets(l *line) error {
	since := time.Now()
	var all errgroup.Group
	for row := range strings.Lines(l.ts.ReadFile(l.raw[0])) {
		row, _, _ = strings.Cut(strings.TrimSpace(row), "#")
		fields := strings.Fields(row)
		if len(fields) == 0 {
			continue
		}
		c := attempt{fields[0], fields[1], fields[2], fields[3] == "allow", strings.Join(fields[4:], " ")}
		all.Go(func() error {
			if err := c.check(l, since); err != nil {
				return fmt.Errorf("%s: %w", row, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// attempt is a line of a table.
type attempt struct {
	from, to, what string
	allow          bool
	policy         string // which denies it
}

func (c attempt) check(l *line, since time.Time) error {
	from, err := l.station(c.from)
	if err != nil {
		return err
	}
	protocol, port, _ := strings.Cut(c.what, "/")
	var targets []netip.AddrPort
	if protocol == "icmp" {
		addrs, err := l.addresses(c.to)
		if err != nil {
			return err
		}
		for _, a := range addrs {
			targets = append(targets, netip.AddrPortFrom(a, 0))
		}
	} else if targets, err = l.target(c.to + ":" + port); err != nil {
		return err
	}
	for _, to := range targets {
		switch err := c.once(from, protocol, to); {
		case c.allow && err != nil:
			return fmt.Errorf("%v: %w", to, err)
		case !c.allow && err == nil:
			return fmt.Errorf("%v answers", to)
		case !c.allow && !errors.Is(err, netns.ErrSilence):
			return fmt.Errorf("%v: want silence: %w", to, err)
		}
	}
	if c.policy == "" {
		return nil
	}
	return c.named(l, port, since)
}

// once makes the call.
func (c attempt) once(from *netns.Station, protocol string, to netip.AddrPort) error {
	wait := impatient
	if c.allow {
		wait = patient
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if protocol == "icmp" {
		return from.Ping(ctx, to.Addr(), 0)
	}
	_, err := from.Dial(ctx, protocol, to, 0, 0)
	return err
}

// named waits until a flow of one of the nodes names the policy.
func (c attempt) named(l *line, port string, since time.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	f := &flowpb.FlowFilter{Verdict: []flowpb.Verdict{verdicts["drop"]}, EventType: []*flowpb.EventTypeFilter{{Type: flowTypes["verdict"]}}}
	if port != "" {
		f.DestinationPort = []string{port}
	}
	if p, err := l.pod(c.from); err == nil {
		f.SourcePod = []string{p.PodSpec.Namespace + "/" + p.PodSpec.Name}
	}
	if p, err := l.pod(c.to); err == nil {
		f.DestinationPod = []string{p.PodSpec.Namespace + "/" + p.PodSpec.Name}
	}
	nodes := map[*nettest.Node]bool{}
	for _, at := range []string{c.from, c.to} {
		name, _, _ := strings.Cut(at, "/")
		if n := l.Node(name); n != nil {
			nodes[n] = true
		}
	}
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, len(nodes))
	for n := range nodes {
		go func() {
			text, err := n.Flow(ctx, f, since)
			answers <- answer{text, err}
		}()
	}
	switch a := <-answers; {
	case a.err != nil:
		return a.err
	case !strings.Contains(a.text, "DENIED BY "+c.policy):
		return fmt.Errorf("want it denied by %s: %s", c.policy, a.text)
	}
	return nil
}
