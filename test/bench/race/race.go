// Package race measures ways between a client and a server beside each other, round by round, and writes down how they compare.
//
// # The world it models
//
//	round 1: throughput of way A, of way B, of A again; transactions of A, of B, of A again; …
//	round 2: the same
//
// # Invariants
//
//   - A ratio is the median of the rounds' ratios (package report), so both of its values are of one moment of the machine.
//
// # Example
//
//	list := []*race.Contender{{Way: ours, Name: "Weftnet", Of: 1, Ours: true}, {Way: pair.Way, Name: "bare veth pair", Of: 1}}
//	err := race.Race{Rounds: 7, Time: time.Second, Progress: progress}.Run(ctx, list, race.Throughput, race.Transactions)
//	race.Compare(&section, list, race.Throughput, race.Transactions)
package race

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/report"
)

// Kind is a way to use a way.
type Kind struct {
	Name, Unit string
	Service    bool // by the address of a service
	Run        func(load.Way, time.Duration) (float64, error)
}

// Kinds.
var (
	Throughput   = Kind{"TCP throughput", "Gbit/s", false, load.Stream}
	Transactions = Kind{"TCP request, response", "/s", false, load.Transactions}
	Connections  = Kind{"connect, request, close", "/s", false, load.Connections}
	Datagrams    = Kind{"UDP packets", "/s", false, load.Datagrams}
	Calls        = Kind{"connect, request, close by a service", "/s", true, load.Connections}
)

// Contender is a way, and what was measured of it: by kind, a value per round.
type Contender struct {
	load.Way
	Name   string
	Of     int // whose ratio it is shown as: index of a contender
	Ours   bool
	Values map[string][]float64
}

// Race is how it is measured.
type Race struct {
	Rounds   int
	Time     time.Duration // of one measurement
	Progress func(format string, args ...any)
}

// Run measures contenders, round by round.
func (r Race) Run(ctx context.Context, list []*Contender, kinds ...Kind) error {
	for _, c := range list {
		c.Values = map[string][]float64{}
	}
	for round := range r.Rounds {
		for _, k := range kinds {
			for _, c := range list {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				w := c.Way
				if k.Service && !w.Service.IsValid() {
					continue
				}
				if !k.Service {
					w.Service = netip.AddrPort{}
				}
				v, err := k.Run(w, r.Time)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", c.Name, k.Name, err)
				}
				c.Values[k.Name] = append(c.Values[k.Name], v)
				r.Progress("round %d/%d  %-36s %-38s %10s %s", round+1, r.Rounds, k.Name, c.Name, chart.Figure(v), k.Unit)
			}
		}
	}
	return nil
}

// Compare makes table and chart of a race.
func Compare(s *report.Section, list []*Contender, kinds ...Kind) {
	t := report.Table{Header: []string{"way"}}
	for _, k := range kinds {
		t.Header = append(t.Header, k.Name+", "+k.Unit, "ratio")
	}
	for _, c := range list {
		r := []string{c.Name}
		for _, k := range kinds {
			v, of := c.Values[k.Name], list[c.Of].Values[k.Name]
			switch {
			case v == nil:
				r = append(r, "-", "-")
			case of == nil:
				r = append(r, chart.Figure(report.Median(v)), "-")
			default:
				r = append(r, chart.Figure(report.Median(v)), fmt.Sprintf("%.3f", report.Ratio(v, of)))
			}
		}
		t.Rows = append(t.Rows, r)
	}
	s.Tables = append(s.Tables, t)
	for _, k := range kinds {
		g := chart.Group{Name: k.Name, Unit: k.Unit}
		for _, c := range list {
			if v := c.Values[k.Name]; v != nil {
				g.Bars = append(g.Bars, chart.Bar{Name: c.Name, Value: report.Median(v), Least: slices.Min(v), Most: slices.Max(v), Ours: c.Ours})
			}
		}
		s.Chart.Groups = append(s.Chart.Groups, g)
	}
	s.Chart.Title = s.Title
}

// Aim compares a contender with another and notes a target.
func Aim(s *report.Section, k Kind, c, than *Contender, least float64) {
	r := report.Ratio(c.Values[k.Name], than.Values[k.Name])
	s.Targets = append(s.Targets, report.Target{
		What: fmt.Sprintf("%s: %s", c.Name, k.Name), Aim: fmt.Sprintf("≥ %.2f of %s", least, than.Name), Got: fmt.Sprintf("%.3f", r), Met: r >= least,
	})
}

// Differs tells how a contender differs from itself.
func Differs(s *report.Section, first, second *Contender, kinds ...Kind) {
	text := fmt.Sprintf("A/A, %s to %s:", second.Name, first.Name)
	for i, k := range kinds {
		if i > 0 {
			text += ";"
		}
		text += fmt.Sprintf(" %s %.3f", k.Name, report.Ratio(second.Values[k.Name], first.Values[k.Name]))
	}
	s.Notes = append(s.Notes, text+". A difference smaller than that says nothing.")
}
