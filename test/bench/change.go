package main

import (
	"context"
	"fmt"

	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
	"weftnet.io/weftnet/test/bench/world"
)

// policyChanges measures how soon policies are in the kernel.
func (b *bench) policyChanges(ctx context.Context) (s report.Section, err error) {
	s.Title = "Changes of policies"
	c, err := b.cluster("changes", 2, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	w, err := world.New(ctx, c)
	if err != nil {
		return s, err
	}
	kernel, err := world.NewFilter()
	if err != nil {
		return s, err
	}
	defer kernel.Close()
	steps := []struct {
		name  string
		aim   float64 // ms
		share float64 // the quantile that is aimed at
		ours  func() ([]float64, error)
		peer  func() ([]float64, error)
	}{
		{fmt.Sprintf("%d policies on %d workloads, all in the kernel", world.Usual, world.Workloads), 2000, 0.5, func() ([]float64, error) { return w.All(ctx, world.Usual) }, func() ([]float64, error) { return kernel.All(world.Usual) }},
		{"one policy changed", 50, 0.99, func() ([]float64, error) { return w.Ones(ctx, 200) }, func() ([]float64, error) { return kernel.Ones(50) }},
		{fmt.Sprintf("one that selects all %d pods changed", world.Local), 0, 0.5, func() ([]float64, error) { return w.Shared(ctx, 20) }, nil},
		{fmt.Sprintf("%d policies at once, on both nodes", world.Burst), 1000, 0.5, func() ([]float64, error) { return w.Bursts(ctx, b.rounds) }, func() ([]float64, error) { return kernel.Bursts(b.rounds) }},
		{"a pod's labels changed, on both nodes", 100, 0.99, func() ([]float64, error) { return w.Relabel(ctx, 50) }, func() ([]float64, error) { return kernel.Relabel(50) }},
		{fmt.Sprintf("%d policies, all in the kernel", world.Many), 0, 0.5, func() ([]float64, error) { return w.All(ctx, world.Many) }, func() ([]float64, error) { return kernel.All(world.Many) }},
		{fmt.Sprintf("one of %d policies changed", world.Many), 100, 0.99, func() ([]float64, error) { return w.Ones(ctx, 200) }, func() ([]float64, error) { return kernel.Ones(50) }},
	}
	t := report.Table{Header: []string{"ms", "p50", "p99", "most", "nftables, p50", "nftables, p99"}}
	for _, x := range steps {
		ours, err := x.ours()
		if err != nil {
			return s, fmt.Errorf("%s: %w", x.name, err)
		}
		row := []string{x.name, figure(ours, 0.5), figure(ours, 0.99), figure(ours, 1), "-", "-"}
		g := chart.Group{Name: x.name, Unit: "ms", Target: x.aim, Bars: []chart.Bar{bar("Weftnet", ours, x.share, true)}}
		if x.peer != nil {
			theirs, err := x.peer()
			if err != nil {
				return s, fmt.Errorf("%s: nftables: %w", x.name, err)
			}
			row[4], row[5] = figure(theirs, 0.5), figure(theirs, 0.99)
			g.Bars = append(g.Bars, bar("nftables", theirs, x.share, false))
		}
		progress("%-56s p50 %8s ms  p99 %8s ms  nftables %8s", x.name, row[1], row[2], row[4])
		t.Rows, s.Chart.Groups = append(t.Rows, row), append(s.Chart.Groups, g)
		if x.aim > 0 {
			got := report.Quantile(ours, x.share)
			name := fmt.Sprintf("%s, p%.0f", x.name, 100*x.share)
			s.Targets = append(s.Targets, report.Aimed(name, fmt.Sprintf("≤ %.0f ms", x.aim), fmt.Sprintf("%.1f ms", got), got <= x.aim))
		}
	}
	now, most, err := cgroup.Resident(c.Node("a").Process())
	if err != nil {
		return s, err
	}
	s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("RSS at most, %d policies", world.Many), "≤ 256 MiB", fmt.Sprintf("%.1f MiB", most/mebibyte), most <= 256*mebibyte))
	s.Tables = []report.Table{t, {Header: []string{fmt.Sprintf("MiB, %d policies", world.Many), "value"}, Rows: [][]string{
		{"RSS", fmt.Sprintf("%.1f", now/mebibyte)}, {"RSS at most", fmt.Sprintf("%.1f", most/mebibyte)},
	}}}
	s.Chart.Title = s.Title
	s.Notes = append(s.Notes, fmt.Sprintf("%d of the workloads are pods of the node, with a label set each; there are %d label sets. Each policy selects one of them, lets two others in at one port, "+
		"and lets it send to a third; %d select all. Times end when the kernel's maps have it. The agents hear objects as from an API server, without the network between.", world.Local, world.Apps, world.Shared),
		"nftables does the same for the node's pods alone: a chain for each pod, with a rule for each term of its policies, by sets of the addresses of label sets; a change is one transaction of `nft -f`, which replaces the chains that it touches. "+
			"Connections that are open stay open there: its first rule accepts them.")
	return s, nil
}

func figure(list []float64, q float64) string { return fmt.Sprintf("%.1f", report.Quantile(list, q)) }

func bar(name string, list []float64, q float64, ours bool) chart.Bar {
	return chart.Bar{Name: name, Value: report.Quantile(list, q), Least: report.Quantile(list, 0), Most: report.Quantile(list, 1), Ours: ours}
}
