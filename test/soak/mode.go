package main

import (
	"context"
	"fmt"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/load"
)

// modes changes the routing mode of nodes under load, one after the other, from the tunnel to native routing and back: no
// connection is lost, and every pod's device has the MTU of its node's mode.
func modes(ctx context.Context, b *bed) error {
	c, err := b.cluster("mode")
	if err != nil {
		return err
	}
	defer c.Close()
	w, err := newWorld(ctx, c, nil, "")
	if err != nil {
		return err
	}
	l, err := w.load()
	if err != nil {
		return err
	}
	tunnel := map[string]string{"routing-mode": "tunnel"}
	for round := 0; round < b.rounds && ctx.Err() == nil; round++ {
		for _, to := range []map[string]string{native, tunnel} {
			nodes := []*nettest.Node{w.a, w.b}
			b.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
			for _, n := range nodes {
				if err := change(n, to); err != nil {
					_ = l.Stop() // of no interest now
					return fmt.Errorf("round %d, node %s to %s: %w", round, n.Name, to["routing-mode"], err)
				}
			}
		}
	}
	counts := l.Stop()
	b.printf("%d changes of mode", b.rounds*4)
	for _, one := range counts {
		b.printf("  %v", one)
	}
	return load.Verdict(counts)
}

// change restarts a node's agent in another mode and looks at its pods.
func change(n *nettest.Node, settings map[string]string) error {
	n.Stop()
	n.Configure(settings)
	if err := n.Start(); err != nil {
		return err
	}
	want := 1450
	if settings["routing-mode"] == "native" {
		want = 1500
	}
	for _, p := range n.Pods() {
		if mtu, err := p.MTU(); err != nil || mtu != want {
			return fmt.Errorf("eth0 of pod %s has MTU %d, not %d (%w)", p.PodSpec.Name, mtu, want, err)
		}
	}
	return nil
}
