package service

import (
	"fmt"
	"math"
	"slices"

	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/count"
	"weftnet.io/weftnet/test/bench/report"
)

// figures are contenders by what they are.
type figures []*contender

func (f figures) of(name string, size int) *contender {
	i := slices.IndexFunc(f, func(c *contender) bool { return c.name == name && c.size == size })
	if i < 0 {
		return nil
	}
	return f[i]
}

// ratio is that of the rounds' rates; NaN: one was not measured.
func ratio(a, b *contender, of, to cell) float64 {
	if a == nil || b == nil || len(a.rates[of]) == 0 || len(a.rates[of]) != len(b.rates[to]) {
		return math.NaN()
	}
	return report.Ratio(a.rates[of], b.rates[to])
}

func text(ratio float64) string {
	if math.IsNaN(ratio) {
		return "-"
	}
	return fmt.Sprintf("%.3f", ratio)
}

// aims are what our ratios of the first service are to be: what is called a target in the report.
var aims = []struct {
	what  string
	least float64
	ratio func(f figures, c *contender, k kind) float64
}{
	{"the server by no service", 0.97, func(_ figures, c *contender, k kind) float64 {
		return ratio(c, c, cell{k.name, hot}, cell{k.name, direct})
	}},
	{nft, 1, func(f figures, c *contender, k kind) float64 {
		return ratio(c, f.of(nft, c.size), cell{k.name, hot}, cell{k.name, hot})
	}},
	{ipt, 1, func(f figures, c *contender, k kind) float64 {
		return ratio(c, f.of(ipt, c.size), cell{k.name, hot}, cell{k.name, hot})
	}},
	{"10 services", 0.9, func(f figures, c *contender, k kind) float64 {
		if c.size == sizes[0] {
			return math.NaN()
		}
		return ratio(c, f.of(c.name, sizes[0]), cell{k.name, hot}, cell{k.name, hot})
	}},
}

// tell writes down what was measured.
func tell(s *report.Section, list figures) {
	for _, k := range kinds {
		rates := report.Table{Header: []string{k.name + ", /s", "no service", "the first", "any"}}
		ratios := report.Table{Header: []string{k.name + ", ratios of the first", "to no service", "any to the first", "to " + nft, "to " + ipt, "to 10 services"}}
		g := chart.Group{Name: k.name + ", the first of", Unit: "/s"}
		for _, c := range list {
			row := []string{c.String()}
			for _, u := range []use{direct, hot, random} {
				if v := c.rates[cell{k.name, u}]; v != nil {
					row = append(row, chart.Figure(report.Median(v)))
				} else {
					row = append(row, "-")
				}
			}
			rates.Rows = append(rates.Rows, row)
			v := c.rates[cell{k.name, hot}]
			g.Bars = append(g.Bars, chart.Bar{Name: c.String(), Value: report.Median(v), Least: slices.Min(v), Most: slices.Max(v), Ours: c.nodes != nil || c.name == again})
			of := make([]string, len(aims))
			for i, a := range aims {
				of[i] = text(a.ratio(list, c, k))
			}
			ratios.Rows = append(ratios.Rows, []string{c.String(), of[0], text(ratio(c, c, cell{k.name, random}, cell{k.name, hot})), of[1], of[2], of[3]})
		}
		s.Tables, s.Chart.Groups = append(s.Tables, rates, ratios), append(s.Chart.Groups, g)
	}
	s.Chart.Title = s.Title
	for _, name := range []string{atSockets, perPacket} {
		for _, a := range aims {
			for _, k := range kinds {
				list.aim(s, name, a.what, a.least, k, func(c *contender) float64 { return a.ratio(list, c, k) })
			}
		}
	}
	programs(s, list)
	same := "A/A, " + again + " to itself:"
	for i, k := range kinds {
		if i > 0 {
			same += ";"
		}
		same += fmt.Sprintf(" %s %s", k.name, text(ratio(list.of(again, sizes[0]), list.of(atSockets, sizes[0]), cell{k.name, hot}, cell{k.name, hot})))
	}
	s.Notes = append(s.Notes, same+". A difference smaller than that says nothing.",
		"All services lead to one server, and the client ends each connection: a server that ends first keeps the port for a minute, and a call of another service that meets it loses its SYN. Calls to any go to one of them, in an order without pattern: fewer of the rows that they need are in caches. kube-proxy's ways are a bridge, ours is a route: "+
			"compare what each has to no service, too.")
}

// aim notes the worst of all sizes as one target.
func (f figures) aim(s *report.Section, name, to string, least float64, k kind, of func(*contender) float64) {
	worst, at := math.NaN(), 0
	for _, c := range f {
		if r := of(c); c.name == name && !math.IsNaN(r) && !(r >= worst) {
			worst, at = r, c.size
		}
	}
	if !math.IsNaN(worst) {
		s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("%s: %s; the least is that with %s", name, k.name, thousands(at)),
			fmt.Sprintf("≥ %.2f of %s", least, to), text(worst), worst >= least))
	}
}

// programs tells what each program takes with more and more services.
func programs(s *report.Section, list figures) {
	t := report.Table{Header: []string{"ns per run", "program"}}
	for _, size := range sizes {
		t.Header = append(t.Header, thousands(size))
	}
	t.Header = append(t.Header, "most to least")
	for _, name := range []string{atSockets, perPacket} {
		for _, k := range kinds {
			for _, u := range k.uses(0) {
				for _, program := range count.Hooks {
					row, least, most := []string{fmt.Sprintf("%s: %s, %v", name, k.name, u), "`" + program + "`"}, math.Inf(1), 0.0
					for _, size := range sizes {
						ns := report.Median(list.of(name, size).each[cell{k.name, u}][program])
						row, least, most = append(row, fmt.Sprintf("%.0f", ns)), min(least, ns), max(most, ns)
					}
					if least == 0 {
						continue // not on this way
					}
					t.Rows = append(t.Rows, append(row, fmt.Sprintf("%.3f", most/least)))
					if u == hot && (program == "from_pod" && name == perPacket || program == "connect4") {
						s.Targets = append(s.Targets, report.Aimed(fmt.Sprintf("%s: `%s`, ns per run, %s; most to least of 10, 1,000 and 10,000", name, program, k.name),
							"≤ 1.10", fmt.Sprintf("%.3f", most/least), most/least <= 1.1))
					}
				}
			}
		}
	}
	s.Tables = append(s.Tables, t)
}
