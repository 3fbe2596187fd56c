package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/load"
)

// upgrades puts this program's agents in the place of those of an earlier commit, under load, each round in a new cluster:
// no connection is lost, policies hold, and what the earlier agent has made for a pod goes with that pod.
func upgrades(ctx context.Context, b *bed) error {
	for round := 0; round < b.rounds && ctx.Err() == nil; round++ {
		mode, settings := "vxlan", map[string]string(nil)
		if round%2 == 1 {
			mode, settings = "native", native
		}
		if err := b.upgrade(ctx, fmt.Sprint(mode, round), settings); err != nil {
			return fmt.Errorf("round %d, %s: %w", round, mode, err)
		}
	}
	return nil
}

func (b *bed) upgrade(ctx context.Context, name string, settings map[string]string) error {
	c, err := b.cluster(name)
	if err != nil {
		return err
	}
	defer c.Close()
	w, err := newWorld(ctx, c, settings, b.former)
	if err != nil {
		return fmt.Errorf("before the upgrade: %w", err)
	}
	l, err := w.load()
	if err != nil {
		return err
	}
	nodes := []*nettest.Node{w.a, w.b}
	b.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	for _, n := range nodes {
		end, how := n.Stop, "was stopped"
		if b.IntN(2) == 0 {
			end, how = n.Kill, "was killed"
		}
		err := w.upgrade(ctx, n, end)
		if err == nil {
			err = w.refuses(ctx)
		}
		if err != nil {
			_ = l.Stop() // of no interest now
			return fmt.Errorf("node %s, whose agent %s: %w\n%s", n.Name, how, err, n.Log())
		}
		b.printf("%s: agent of node %s %s: %s", name, n.Name, how, moved(n))
	}
	counts := l.Stop()
	for _, one := range counts {
		b.printf("  %v", one)
	}
	return load.Verdict(counts)
}

// upgrade replaces the earlier agent of a node. One pod of its is deleted while there is none, another one afterwards: then the kernel
// has what it had before both.
func (w *world) upgrade(ctx context.Context, n *nettest.Node, end func()) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var pods []*nettest.Pod
	for _, name := range []string{"away", "after"} {
		p, err := n.AddPod(ctx, nettest.PodSpec{Name: name + n.Name, Labels: map[string]string{"app": "late"}})
		if err != nil {
			return fmt.Errorf("before the upgrade: %w", err)
		}
		pods = append(pods, p)
	}
	end()
	if err := pods[0].Remove(ctx); err != nil {
		return fmt.Errorf("DEL while the agent is away: %w", err)
	}
	n.Program = "" // this one
	if err := n.Start(); err != nil {
		return err
	}
	for line := range strings.Lines(n.Log()) {
		if strings.Contains(line, "it begins empty") && !strings.Contains(line, "map=counters") { // which metrics may begin anew
			return errors.New("a map is not moved: " + line)
		}
	}
	if err := pods[1].Remove(ctx); err != nil {
		return fmt.Errorf("DEL of a pod of the earlier agent: %w", err)
	}
	before, err := n.Kernel(ctx)
	if err != nil {
		return err
	}
	p, err := n.AddPod(ctx, nettest.PodSpec{Name: "new" + n.Name, Labels: map[string]string{"app": "late"}})
	if err == nil {
		err = p.Remove(ctx)
	}
	if err != nil {
		return err
	}
	after, err := n.Kernel(ctx)
	if err == nil && after != before {
		err = fmt.Errorf("a pod has left something:\n%s\nbefore there was\n%s", after, before)
	}
	if want := fmt.Sprintf("map nics: %d entries", len(n.Pods())); err == nil && !strings.Contains(after, want) {
		err = fmt.Errorf("pods of the earlier agent have left something: there is no %q in\n%s", want, after)
	}
	return err
}

// refuses sees that the policy of db holds: it lets web in alone.
func (w *world) refuses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := w.pi.Station.Dial(ctx, "tcp", netip.AddrPortFrom(w.db.Addresses[0], 5432), 0, 0); err == nil {
		return errors.New("pod pi reaches db, whose policy lets web in alone")
	}
	return nil
}

// moved says what an agent has told of maps of another shape.
func moved(n *nettest.Node) string {
	var told []string
	for line := range strings.Lines(n.Log()) {
		if _, text, _ := strings.Cut(strings.TrimSpace(line), "msg="); strings.Contains(text, "it begins empty") || strings.Contains(text, "is moved") {
			told = append(told, text)
		}
	}
	if len(told) == 0 {
		return "all maps have the shape that they had"
	}
	return strings.Join(told, "\n  ")
}
