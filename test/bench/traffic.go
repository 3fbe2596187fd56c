package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/control"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/report"
)

// kind is a way to use a way.
type kind struct {
	name, unit string
	service    bool // by the address of a service
	run        func(load.Way, time.Duration) (float64, error)
}

var (
	throughput   = kind{"TCP throughput", "Gbit/s", false, load.Stream}
	transactions = kind{"TCP request, response", "/s", false, load.Transactions}
	connections  = kind{"connect, request, close", "/s", false, load.Connections}
	datagrams    = kind{"UDP packets", "/s", false, load.Datagrams}
	calls        = kind{"connect, request, close by a service", "/s", true, load.Connections}
)

// contender is a way, and what was measured of it: by kind, a value per round.
type contender struct {
	load.Way
	name   string
	of     int // whose ratio it is shown as: index of a contender
	ours   bool
	values map[string][]float64
}

// race measures contenders, round by round.
func (b *bench) race(ctx context.Context, list []*contender, kinds ...kind) error {
	for _, c := range list {
		c.values = map[string][]float64{}
	}
	for round := range b.rounds {
		for _, k := range kinds {
			for _, c := range list {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				w := c.Way
				if k.service && !w.Service.IsValid() {
					continue
				}
				if !k.service {
					w.Service = netip.AddrPort{}
				}
				v, err := k.run(w, b.time)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", c.name, k.name, err)
				}
				c.values[k.name] = append(c.values[k.name], v)
				progress("round %d/%d  %-36s %-38s %10s %s", round+1, b.rounds, k.name, c.name, chart.Figure(v), k.unit)
			}
		}
	}
	return nil
}

// compare makes table and chart of a race.
func compare(s *report.Section, list []*contender, kinds ...kind) {
	t := report.Table{Header: []string{"way"}}
	for _, k := range kinds {
		t.Header = append(t.Header, k.name+", "+k.unit, "ratio")
	}
	for _, c := range list {
		r := []string{c.name}
		for _, k := range kinds {
			v, of := c.values[k.name], list[c.of].values[k.name]
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
		g := chart.Group{Name: k.name, Unit: k.unit}
		for _, c := range list {
			if v := c.values[k.name]; v != nil {
				g.Bars = append(g.Bars, chart.Bar{Name: c.name, Value: report.Median(v), Least: slices.Min(v), Most: slices.Max(v), Ours: c.ours})
			}
		}
		s.Chart.Groups = append(s.Chart.Groups, g)
	}
	s.Chart.Title = s.Title
}

// aim compares a contender with another and notes a target.
func aim(s *report.Section, k kind, c, than *contender, least float64) {
	r := report.Ratio(c.values[k.name], than.values[k.name])
	s.Targets = append(s.Targets, report.Target{
		What: fmt.Sprintf("%s: %s", c.name, k.name), Aim: fmt.Sprintf("≥ %.2f of %s", least, than.name), Got: fmt.Sprintf("%.3f", r), Met: r >= least,
	})
}

// differs tells how a contender differs from itself.
func differs(s *report.Section, first, second *contender, kinds ...kind) {
	text := fmt.Sprintf("A/A, %s to %s:", second.name, first.name)
	for i, k := range kinds {
		if i > 0 {
			text += ";"
		}
		text += fmt.Sprintf(" %s %.3f", k.name, report.Ratio(second.values[k.name], first.values[k.name]))
	}
	s.Notes = append(s.Notes, text+". A difference smaller than that says nothing.")
}

// pods makes pods on nodes, named after their node and numbered.
func pods(ctx context.Context, c *nettest.Cluster, each int) error {
	for _, n := range c.Nodes() {
		for i := range each {
			if _, err := n.AddPod(ctx, nettest.PodSpec{Name: fmt.Sprint(n.Name, i), Labels: map[string]string{"app": n.Name}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) sameNode(ctx context.Context) (s report.Section, err error) {
	s.Title = "Two pods of a node"
	c, err := b.cluster("same", 1, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := pods(ctx, c, 2); err != nil {
		return s, err
	}
	a := c.Node("a")
	if err := c.Put(control.Services(b.services+1, a.Pod("a1").Addresses[0], load.Port).Objects()...); err != nil {
		return s, err
	}
	if err := c.Settle(ctx); err != nil {
		return s, err
	}
	way := load.Way{Client: a.Pod("a0").Station, Server: a.Pod("a1").Station, Service: netip.AddrPortFrom(control.Address, control.Port)}
	pair, err := peer.Pair()
	if err != nil {
		return s, err
	}
	defer pair.Close()
	weft, veth := &contender{Way: way, name: "Weftnet", of: 1, ours: true}, &contender{Way: pair.Way, name: pair.Name, of: 1}
	list, bridges := []*contender{weft, veth}, []*contender{}
	if what := b.Lacking(); what != "" {
		s.Notes = append(s.Notes, "The bridge plugin with kube-proxy was not measured: there is no "+what+".")
	} else {
		for _, mode := range []string{"iptables", "nftables"} {
			p, err := b.Bridged(ctx, mode, b.services+1)
			if err != nil {
				return s, err
			}
			defer p.Close()
			bridges = append(bridges, &contender{Way: p.Way, name: p.Name, of: 1})
		}
		list = append(list, bridges...)
	}
	again := &contender{Way: way, name: "Weftnet, measured again", of: 1, ours: true}
	list = append(list, again)
	kinds := []kind{throughput, transactions, connections, datagrams, calls}
	if err := b.race(ctx, list, kinds...); err != nil {
		return s, err
	}
	compare(&s, list, kinds...)
	aim(&s, throughput, weft, veth, 0.95)
	aim(&s, transactions, weft, veth, 0.95)
	for _, bridge := range bridges {
		for _, k := range kinds {
			aim(&s, k, weft, bridge, 1)
		}
	}
	differs(&s, weft, again, kinds...)
	s.Notes = append(s.Notes, fmt.Sprintf("There are %d services in Weftnet and in both kube-proxies; all lead to the server, and one is called. Ratios are to the bare veth pair.", b.services+1))
	return s, nil
}

// native is the configuration of nodes that route.
var native = map[string]string{
	"routing-mode": "native", "auto-direct-node-routes": "true", "ipv4-native-routing-cidr": "10.244.0.0/16", "ipv6-native-routing-cidr": "fd00:244::/48",
}

func (b *bench) acrossNodes(ctx context.Context) (s report.Section, err error) {
	s.Title = "Pods of two nodes"
	var list []*contender
	for i, x := range []struct {
		name     string
		settings map[string]string
		vxlan    bool
	}{{"Weftnet, VXLAN", nil, true}, {"Weftnet, native", native, false}} {
		c, err := b.cluster("across"+fmt.Sprint(i), 2, x.settings)
		if err != nil {
			return s, err
		}
		defer c.Close()
		if err := pods(ctx, c, 1); err != nil {
			return s, err
		}
		p, err := peer.Routed(x.vxlan)
		if err != nil {
			return s, err
		}
		defer p.Close()
		way := load.Way{Client: c.Node("a").Pod("a0").Station, Server: c.Node("b").Pod("b0").Station}
		of := len(list) + 1
		list = append(list, &contender{Way: way, name: x.name, of: of, ours: true}, &contender{Way: p.Way, name: p.Name, of: of},
			&contender{Way: way, name: x.name + ", again", of: of, ours: true})
	}
	kinds := []kind{throughput, transactions, connections, datagrams}
	if err := b.race(ctx, list, kinds...); err != nil {
		return s, err
	}
	compare(&s, list, kinds...)
	for i := 0; i < len(list); i += 3 {
		for _, k := range kinds {
			aim(&s, k, list[i], list[i+1], 0.95)
		}
		differs(&s, list[i], list[i+2], kinds...)
	}
	return s, nil
}
