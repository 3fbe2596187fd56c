package main

import (
	"context"
	"fmt"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/count"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/race"
	"weftnet.io/weftnet/test/bench/report"
	"weftnet.io/weftnet/test/bench/world"
)

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
		kind race.Kind
	}{
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, race.Transactions},
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, race.Datagrams},
		{"pod to pod of one node", load.Way{Client: a0, Server: a1}, race.Connections},
		{"pod to pod of two nodes", load.Way{Client: a0, Server: b0}, race.Transactions},
		{"pod to pod of two nodes", load.Way{Client: a0, Server: b0}, race.Datagrams},
		{"pod to outside", load.Way{Client: a0, Server: c.Outside}, race.Transactions},
		{"node to pod", load.Way{Client: a, Server: a0}, race.Transactions},
	}
	t := report.Table{Header: []string{"way", "program", "ns per packet", "least", "packets", "all programs' share of the time"}}
	for _, w := range ways {
		var list []count.Usage
		for range b.rounds {
			u, err := count.While(ctx, c.Nodes(), b.time, func(d time.Duration) (float64, error) { return w.kind.Run(w.way, d) })
			if err != nil {
				return s, fmt.Errorf("%s, %s: %w", w.name, w.kind.Name, err)
			}
			list = append(list, u)
		}
		g := chart.Group{Name: w.kind.Name + ", " + w.name, Unit: "ns per packet"}
		for _, name := range count.Hooks {
			each, shares, packets := collect(list, name)
			if len(each) == 0 {
				continue
			}
			t.Rows = append(t.Rows, []string{
				w.kind.Name + ", " + w.name, "`" + name + "`", fmt.Sprintf("%.0f", report.Median(each)), fmt.Sprintf("%.0f", report.Quantile(each, 0)),
				fmt.Sprint(packets), fmt.Sprintf("%.1f %%", 100*report.Median(shares)),
			})
			g.Bars = append(g.Bars, chart.Bar{Name: name, Value: report.Median(each), Least: report.Quantile(each, 0), Most: report.Quantile(each, 1), Ours: true})
			progress("%-30s %-32s %-14s %6.0f ns per packet", w.kind.Name, w.name, name, report.Median(each))
		}
		s.Chart.Groups = append(s.Chart.Groups, g)
	}
	s.Chart.Title = s.Title
	s.Tables = []report.Table{t}
	s.Notes = append(s.Notes, "The kernel's own count, which adds some 20 to 40 ns to each run that it counts. A lone packet finds caches cold and is dearer than one of a crowd.")
	return s, nil
}

func collect(list []count.Usage, program string) (each, shares []float64, packets uint64) {
	for _, u := range list {
		if v, ok := u.Each[program]; ok {
			each, shares, packets = append(each, v), append(shares, u.Share), packets+u.Runs[program]
		}
	}
	return each, shares, packets
}

// policies measures whether packets cost more with many policies, identities or rules.
func (b *bench) policies(ctx context.Context) (s report.Section, err error) {
	s.Title = "Packets and many policies"
	ours, theirs := world.Amounts(), []int{10, 1000, 10_000}
	var ways []*race.Contender
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
		nodes[i], ways = c.Nodes(), append(ways, &race.Contender{Way: load.Way{Client: a.Pod("a0").Station, Server: a.Pod("a1").Station}, Name: x.Name, Ours: true})
	}
	for _, n := range theirs {
		p, err := peer.Filtered(world.Script(n))
		if err != nil {
			return s, err
		}
		defer p.Close()
		ways = append(ways, &race.Contender{Way: p.Way, Name: fmt.Sprintf("nftables, %d rules", n), Of: len(ours)})
	}
	kinds := []race.Kind{race.Transactions, race.Connections}
	each := make([][2][]float64, len(ours)) // ns per packet, by way and kind
	for _, w := range ways {
		w.Values = map[string][]float64{}
	}
	for range b.rounds {
		for j, k := range kinds {
			for i, w := range ways {
				var u count.Usage
				if i < len(ours) {
					u, err = count.While(ctx, nodes[i], b.time, func(d time.Duration) (float64, error) { return k.Run(w.Way, d) })
				} else {
					u.Rate, err = k.Run(w.Way, b.time)
				}
				if err != nil {
					return s, fmt.Errorf("%s: %s: %w", w.Name, k.Name, err)
				}
				w.Values[k.Name] = append(w.Values[k.Name], u.Rate)
				if i < len(ours) {
					each[i][j] = append(each[i][j], u.Each["from_pod"])
				}
				progress("%-28s %-32s %6.0f ns per packet %8.0f/s", w.Name, k.Name, u.Each["from_pod"], u.Rate)
			}
		}
	}
	race.Compare(&s, ways, kinds...)
	t := report.Table{Header: []string{"ns per packet of `from_pod`", "established", "ratio", "connect, request, close", "ratio"}}
	for i, x := range ours {
		r := [2]float64{report.Ratio(each[i][0], each[0][0]), report.Ratio(each[i][1], each[0][1])}
		t.Rows = append(t.Rows, []string{
			x.Name, fmt.Sprintf("%.0f", report.Median(each[i][0])), fmt.Sprintf("%.3f", r[0]), fmt.Sprintf("%.0f", report.Median(each[i][1])), fmt.Sprintf("%.3f", r[1]),
		})
		if i > 1 { // the second is the first, again
			s.Targets = append(s.Targets, report.Aimed(x.Name+": ns per packet, established", "≤ 1.02 of "+ours[0].Name, fmt.Sprintf("%.3f", r[0]), r[0] <= 1.02))
		}
	}
	s.Tables = append(s.Tables, t)
	s.Notes = append(s.Notes, "Ratios are to ten of the same kind. One packet of a connection is the first of its kind in each direction; its price is in the last columns. "+
		"nftables has a rule for connections that are established and then as many for others, the last of which lets the client in.")
	return s, nil
}
