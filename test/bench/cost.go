package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/report"
	"weftnet.io/weftnet/test/bench/world"
)

// hooks are all programs, in the order in which a packet meets them.
var hooks = []string{"from_pod", "to_pod", "to_overlay", "to_net", "from_net", "from_overlay"}

// counted is what the kernel has counted of a program.
type counted struct {
	Runs    uint64
	Runtime time.Duration
}

// totals adds up what each program did on all devices of some nodes.
func totals(ctx context.Context, nodes []*nettest.Node) (map[string]counted, error) {
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

// usage is how some traffic used the programs.
type usage struct {
	rate  float64            // of the traffic
	each  map[string]float64 // ns per packet by program
	runs  map[string]uint64
	share float64 // of the time that it took, in all programs together
}

// count runs some traffic while the kernel counts.
func count(ctx context.Context, nodes []*nettest.Node, k kind, w load.Way, d time.Duration) (u usage, err error) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return u, fmt.Errorf("let the kernel count what programs take: %w", err)
	}
	defer stats.Close()
	before, err := totals(ctx, nodes)
	if err != nil {
		return u, err
	}
	if u.rate, err = k.run(w, d); err != nil {
		return u, err
	}
	after, err := totals(ctx, nodes)
	if err != nil {
		return u, err
	}
	u.each, u.runs = map[string]float64{}, map[string]uint64{}
	var took time.Duration
	for _, name := range hooks {
		runs, time := after[name].Runs-before[name].Runs, after[name].Runtime-before[name].Runtime
		if runs < 100 {
			continue // not on this way
		}
		u.runs[name], u.each[name] = runs, float64(time.Nanoseconds())/float64(runs)
		took += time
	}
	u.share = float64(took) / float64(d)
	return u, nil
}

func (b *bench) programs(ctx context.Context) (s report.Section, err error) {
	s.Title = "What the programs take"
	c, err := b.cluster("programs", 2, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := pods(ctx, c, 2); err != nil {
		return s, err
	}
	a0, a1, b0, a := c.Node("a").Pod("a0").Station, c.Node("a").Pod("a1").Station, c.Node("b").Pod("b0").Station, c.Node("a").Station
	ways := []struct {
		name string
		way  load.Way
		kind kind
	}{
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, transactions},
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, datagrams},
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, connections},
		{"pod to pod of two nodes", load.Way{Client: a0, Server: b0}, transactions},
		{"pod to pod of two nodes", load.Way{Client: a0, Server: b0}, datagrams},
		{"pod to outside", load.Way{Client: a0, Server: c.Outside}, transactions},
		{"node to pod", load.Way{Client: a, Server: a0}, transactions},
	}
	t := report.Table{Header: []string{"way", "program", "ns per packet", "least", "packets", "all programs' share of the time"}}
	for _, w := range ways {
		var list []usage
		for range b.rounds {
			u, err := count(ctx, c.Nodes(), w.kind, w.way, b.time)
			if err != nil {
				return s, fmt.Errorf("%s, %s: %w", w.name, w.kind.name, err)
			}
			list = append(list, u)
		}
		g := chart.Group{Name: w.kind.name + ", " + w.name, Unit: "ns per packet"}
		for _, name := range hooks {
			each, shares, packets := collect(list, name)
			if len(each) == 0 {
				continue
			}
			t.Rows = append(t.Rows, []string{
				w.kind.name + ", " + w.name, "`" + name + "`", fmt.Sprintf("%.0f", report.Median(each)), fmt.Sprintf("%.0f", report.Quantile(each, 0)),
				fmt.Sprint(packets), fmt.Sprintf("%.1f %%", 100*report.Median(shares)),
			})
			g.Bars = append(g.Bars, chart.Bar{Name: name, Value: report.Median(each), Least: report.Quantile(each, 0), Most: report.Quantile(each, 1), Ours: true})
			progress("%-30s %-32s %-14s %6.0f ns per packet", w.kind.name, w.name, name, report.Median(each))
		}
		s.Chart.Groups = append(s.Chart.Groups, g)
	}
	s.Chart.Title = s.Title
	s.Tables = []report.Table{t}
	s.Notes = append(s.Notes, "The kernel's own count, which adds some 20 to 40 ns to each run that it counts. A lone packet finds caches cold and is dearer than one of a crowd.")
	return s, nil
}

func collect(list []usage, program string) (each, shares []float64, packets uint64) {
	for _, u := range list {
		if v, ok := u.each[program]; ok {
			each, shares, packets = append(each, v), append(shares, u.share), packets+u.runs[program]
		}
	}
	return each, shares, packets
}

// policies measures whether packets cost more with many policies, identities or rules.
func (b *bench) policies(ctx context.Context) (s report.Section, err error) {
	s.Title = "Packets and many policies"
	ours, theirs := world.Amounts(), []int{10, 1000, 10_000}
	var ways []*contender
	nodes := make([][]*nettest.Node, len(ours))
	for i, x := range ours {
		c, err := b.cluster(fmt.Sprint("policies", i), 1, nil)
		if err != nil {
			return s, err
		}
		defer c.Close()
		if err := pods(ctx, c, 2); err != nil {
			return s, err
		}
		stop, err := x.Fill(ctx, c)
		if err != nil {
			return s, err
		}
		defer stop()
		a := c.Node("a")
		nodes[i], ways = c.Nodes(), append(ways, &contender{Way: load.Way{Client: a.Pod("a0").Station, Server: a.Pod("a1").Station}, name: x.Name, ours: true})
	}
	for _, n := range theirs {
		p, err := peer.Filtered(world.Script(n))
		if err != nil {
			return s, err
		}
		defer p.Close()
		ways = append(ways, &contender{Way: p.Way, name: fmt.Sprintf("nftables, %d rules", n), of: len(ours)})
	}
	kinds := []kind{transactions, connections}
	each := make([][2][]float64, len(ours)) // ns per packet, by way and kind
	for _, w := range ways {
		w.values = map[string][]float64{}
	}
	for range b.rounds {
		for j, k := range kinds {
			for i, w := range ways {
				var u usage
				if i < len(ours) {
					u, err = count(ctx, nodes[i], k, w.Way, b.time)
				} else {
					u.rate, err = k.run(w.Way, b.time)
				}
				if err != nil {
					return s, fmt.Errorf("%s: %s: %w", w.name, k.name, err)
				}
				w.values[k.name] = append(w.values[k.name], u.rate)
				if i < len(ours) {
					each[i][j] = append(each[i][j], u.each["from_pod"])
				}
				progress("%-28s %-32s %6.0f ns per packet %8.0f/s", w.name, k.name, u.each["from_pod"], u.rate)
			}
		}
	}
	compare(&s, ways, kinds...)
	t := report.Table{Header: []string{"ns per packet of `from_pod`", "established", "ratio", "connect, request, close", "ratio"}}
	for i, x := range ours {
		r := [2]float64{report.Ratio(each[i][0], each[0][0]), report.Ratio(each[i][1], each[0][1])}
		t.Rows = append(t.Rows, []string{
			x.Name, fmt.Sprintf("%.0f", report.Median(each[i][0])), fmt.Sprintf("%.3f", r[0]), fmt.Sprintf("%.0f", report.Median(each[i][1])), fmt.Sprintf("%.3f", r[1]),
		})
		if i > 1 { // the second is the first, again
			s.Targets = append(s.Targets, report.Target{x.Name + ": ns per packet, established", "≤ 1.02 of " + ours[0].Name, fmt.Sprintf("%.3f", r[0]), r[0] <= 1.02})
		}
	}
	s.Tables = append(s.Tables, t)
	s.Notes = append(s.Notes, "Ratios are to ten of the same kind. One packet of a connection is the first of its kind in each direction; its price is in the last columns. "+
		"nftables has a rule for connections that are established and then as many for others, the last of which lets the client in.")
	return s, nil
}
