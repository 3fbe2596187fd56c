package network

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/nettest/claim"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

// lasts is how long agents claim in a round.
const lasts = 10 * time.Second

// Claims measures how many addresses of one range three agents give in a second, while they live and while they are killed at random.
func Claims(ctx context.Context, b Bench) (s report.Section, err error) {
	s.Title = "Claims of addresses that a cluster shares"
	type way struct {
		name string
		claim.Plan
		rates         []float64
		claims, cut   int
		deaths, again int
	}
	ways := []*way{{name: "API server in memory"}, {name: "API server in memory, agents are killed", Plan: claim.Plan{Life: time.Second}}}
	if b.Kubeconfig != "" {
		ways = append(ways, &way{name: "kube-apiserver and etcd", Plan: claim.Plan{Kubeconfig: b.Kubeconfig}},
			&way{name: "kube-apiserver and etcd, agents are killed", Plan: claim.Plan{Kubeconfig: b.Kubeconfig, Life: time.Second}})
	} else {
		s.Notes = append(s.Notes, "A real API server was not measured: -kubeconfig of a lab says which.")
	}
	for round := range b.Rounds {
		for _, w := range ways {
			p := w.Plan
			p.Rand, p.Agents, p.Lasts, p.Dir = rand.New(rand.NewPCG(uint64(round), 0)), 3, lasts, b.Dir
			a, err := claim.Run(ctx, p)
			if err != nil {
				return s, fmt.Errorf("%s: %w", w.name, err)
			}
			w.rates, w.claims, w.cut, w.deaths, w.again = append(w.rates, a.Rate()), w.claims+a.Claims, w.cut+a.Cut, w.deaths+a.Deaths, w.again+a.Again
			b.Progress("round %d/%d  %-44s %v", round+1, b.Rounds, w.name, a)
		}
	}
	t := report.Table{Header: []string{"three agents", "claims/s, median", "least", "most", "claims", "deaths of agents", "cut short", "answered again"}}
	g := chart.Group{Name: "claims", Unit: "/s", Target: 1000}
	for _, w := range ways {
		m := report.Median(w.rates)
		t.Rows = append(t.Rows, []string{
			w.name, fmt.Sprintf("%.0f", m), fmt.Sprintf("%.0f", slices.Min(w.rates)), fmt.Sprintf("%.0f", slices.Max(w.rates)),
			fmt.Sprint(w.claims), fmt.Sprint(w.deaths), fmt.Sprint(w.cut), fmt.Sprint(w.again),
		})
		s.Targets = append(s.Targets, report.Aimed(w.name, "≥ 1000/s, none twice", fmt.Sprintf("%.0f/s, none twice", m), m >= 1000))
		g.Bars = append(g.Bars, chart.Bar{Name: w.name, Value: m, Least: slices.Min(w.rates), Most: slices.Max(w.rates), Ours: true})
	}
	s.Tables, s.Chart = []report.Table{t}, chart.Chart{Title: s.Title, Groups: []chart.Group{g}}
	s.Notes = append(s.Notes, "An agent here is the part of one that gives addresses, with its tables and loops, in a process of its own; 64 NICs of each wait at one time, and 256 live before one is given back for each that comes. "+
		"A run that sees an address given twice, a NIC that lives with another address than before, or anything left on the API server in the end, is an error and has no figures.")
	return s, nil
}
