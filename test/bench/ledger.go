package main

import (
	"context"
	"fmt"
	"time"

	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/ledger"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/race"
	"weftnet.io/weftnet/test/bench/report"
)

// steps takes apart what a packet costs in from_pod.
func (b *bench) steps(ctx context.Context) (s report.Section, err error) {
	const program, cheapest = "from_pod", 1 // ns
	s.Title = "What each step of `from_pod` costs"
	c, err := b.cluster("ledger", 2, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := pods(ctx, c, 2); err != nil {
		return s, err
	}
	a0, a1, b0 := c.Node("a").Pod("a0").Station, c.Node("a").Pod("a1").Station, c.Node("b").Pod("b0").Station
	ways := []struct {
		name string
		way  load.Way
		kind race.Kind
	}{
		{"a pod of the node, known connection", load.Way{Client: a0, Server: a1}, race.Transactions},
		{"a pod of another node, known connection", load.Way{Client: a0, Server: b0}, race.Transactions},
		{"a pod of the node, datagrams without a pause", load.Way{Client: a0, Server: a1}, race.Datagrams},
		{"a pod of the node, new connections", load.Way{Client: a0, Server: a1}, race.Connections},
	}
	t := report.Table{Header: []string{"step"}}
	sums, counts := []string{"all"}, []string{"packets, samples"}
	rows, order := map[string][]string{}, []string{}
	cell := func(step string, way int, text string) {
		if rows[step] == nil {
			rows[step] = make([]string, len(ways))
			order = append(order, step)
		}
		rows[step][way] = text
	}
	for i, w := range ways {
		l, err := ledger.While(c.Node("a"), program, func() error { _, err := w.kind.Run(w.way, b.time*time.Duration(b.rounds)); return err })
		if err != nil {
			return s, fmt.Errorf("%s: %w", w.name, err)
		}
		t.Header = append(t.Header, w.name)
		own, kernel := 0.0, 0.0
		g := chart.Group{Name: w.name, Unit: "ns per packet"}
		for _, step := range l.Steps {
			own, kernel = own+step.Own, kernel+step.Kernel
			if step.Own+step.Kernel < cheapest {
				continue
			}
			cell("`"+step.File+"`", i, fmt.Sprintf("%.0f + %.0f", step.Own, step.Kernel))
			g.Bars = append(g.Bars, chart.Bar{Name: step.File, Value: step.Own + step.Kernel, Least: step.Own, Most: step.Own + step.Kernel, Ours: true})
		}
		s.Chart.Groups = append(s.Chart.Groups, g)
		sums = append(sums, fmt.Sprintf("%.0f + %.0f", own, kernel))
		counts = append(counts, fmt.Sprintf("%d, %d", l.Packets, l.Samples))
		progress("%-44s %6.0f ns per packet, of which %.0f in what it calls of the kernel; %d packets, %d samples", w.name, own+kernel, kernel, l.Packets, l.Samples)
	}
	for _, step := range order {
		t.Rows = append(t.Rows, append([]string{step}, rows[step]...))
	}
	t.Rows = append(t.Rows, sums, counts)
	s.Tables, s.Chart.Title = []report.Table{t}, s.Title
	s.Notes = append(s.Notes, "Nanoseconds per packet: those of the lines of a file of `bpf/` themselves, plus those of what they call of the kernel, which is mostly the look-up of rows in maps. "+
		"A clock looks 20,000 times a second where each CPU is. What a line costs that waits for memory is found at the one behind it, which needs the value; a packet that is alone finds caches cold, and is dearer than one of a crowd.")
	return s, nil
}
