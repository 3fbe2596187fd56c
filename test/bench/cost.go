package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/place"
)

// cost is what a program took per packet on a way.
type cost struct {
	way     string
	program string
	packets uint64
	each    time.Duration
}

// programCosts counts what the programs take, way by way.
func programCosts(ctx context.Context, c *nettest.Cluster, d time.Duration) ([]cost, error) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return nil, fmt.Errorf("let the kernel count what programs take: %w", err)
	}
	defer stats.Close()
	a, b := c.Node("a"), c.Node("b")
	var list []cost
	for _, way := range []struct {
		name           string
		client, server *place.Place
		load           func(client, server *place.Place, d time.Duration) error
	}{
		{"transactions, pod to pod of one node", a.Pod("a0").Place, a.Pod("a1").Place, transactions},
		{"transactions, pod to pod of two nodes", a.Pod("a0").Place, b.Pod("b0").Place, transactions},
		{"transactions, pod to outside", a.Pod("a0").Place, c.Outside, transactions},
		{"transactions, node to pod", a.Place, a.Pod("a0").Place, transactions},
		{"datagrams without a pause, pod to pod of one node", a.Pod("a0").Place, a.Pod("a1").Place, flood},
		{"datagrams without a pause, pod to pod of two nodes", a.Pod("a0").Place, b.Pod("b0").Place, flood},
	} {
		before, err := totals(ctx, a, b)
		if err != nil {
			return nil, err
		}
		if err := way.load(way.client, way.server, d); err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		after, err := totals(ctx, a, b)
		if err != nil {
			return nil, err
		}
		for _, program := range []string{"from_pod", "to_pod", "to_overlay", "to_net", "from_net", "from_overlay"} {
			runs := after[program].Runs - before[program].Runs
			if runs < 100 {
				continue // not on this way
			}
			list = append(list, cost{way.name, program, runs, (after[program].Runtime - before[program].Runtime) / time.Duration(runs)})
		}
	}
	return list, nil
}

func transactions(client, server *place.Place, d time.Duration) error {
	_, err := pingPong(client, server, d)
	return err
}

// totals adds up what each program did on all devices of some nodes.
func totals(ctx context.Context, nodes ...*nettest.Node) (map[string]counted, error) {
	sum := map[string]counted{}
	for _, n := range nodes {
		list, err := n.Programs(ctx)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, p := range list {
			if seen[p.Name] {
				continue // one program on several devices
			}
			seen[p.Name] = true
			s := sum[p.Name]
			sum[p.Name] = counted{s.Runs + p.Runs, s.Runtime + p.Runtime}
		}
	}
	return sum, nil
}

type counted struct {
	Runs    uint64
	Runtime time.Duration
}
