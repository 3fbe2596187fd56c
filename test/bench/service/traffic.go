// Package service measures services: what calls by one cost, beside calls of the same server by no service and beside the real kube-proxy,
// and how soon an agent has many of them in the kernel.
//
// # The world it models
//
//	Weftnet      client -- from_pod, or connect(2) -- server      10, 1,000 and 10,000 services, all of which lead to the server
//	kube-proxy   client -- bridge, nftables or iptables -- server the same services
//
// A call goes to no service, to the first of all, or to any of them, in an order without pattern: then caches hold fewer of the rows that it
// needs.
//
// # Invariants
//
//   - Each way is measured to no service, the first and any right after one another, in another order each round: their ratios are of one
//     moment of the machine.
//   - Programs are counted in passes of their own.
//
// # Example
//
//	s, err := service.Traffic(ctx, service.Bench{Rounds: 7, Time: time.Second, …})
package service

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/control"
	"weftnet.io/weftnet/test/bench/count"
	"weftnet.io/weftnet/test/bench/load"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/report"
)

// Bench is what a measurement needs.
type Bench struct {
	peer.Tools
	Rounds   int
	Time     time.Duration                               // of one measurement of traffic
	Cluster  func(name string) (*nettest.Cluster, error) // without nodes
	Profiles func(name string) (dir string, err error)   // for profiles of a cluster's agents; empty: none
	Progress func(format string, args ...any)
}

// sizes are how many services there are.
var sizes = []int{10, 1000, 10_000}

// kind is a way to call.
type kind struct {
	name string
	each bool // each call is a new one, which may go to any service
	run  func(load.Way, time.Duration) (float64, error)
}

var kinds = []kind{
	{"connect, request, close", true, load.Connections},
	{"TCP request, response", false, load.Transactions},
	{"UDP request, response, from a new port each", true, load.Queries},
}

// use is what a call goes to.
type use int

const (
	direct use = iota // no service
	hot               // the first
	random            // any
)

func (u use) String() string { return []string{"no service", "the first", "any"}[u] }

// contender is a way with a number of services.
type contender struct {
	load.Way
	name  string
	size  int
	nodes []*nettest.Node // of Weftnet
	rates map[cell][]float64
	each  map[cell]map[string][]float64 // ns per run by program
}

type cell struct {
	kind string
	use
}

func (c *contender) String() string { return fmt.Sprintf("%s, %s services", c.name, thousands(c.size)) }

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// Names of ways.
const (
	atSockets = "Weftnet, at sockets"
	perPacket = "Weftnet, per packet"
	nft       = "kube-proxy nftables"
	ipt       = "kube-proxy iptables"
	again     = "Weftnet, at sockets, measured again"
)

// Traffic measures calls.
func Traffic(ctx context.Context, b Bench) (s report.Section, err error) {
	s.Title = "Calls by services"
	var list []*contender
	for _, size := range sizes {
		for name, settings := range map[string]map[string]string{atSockets: {"kube-proxy-replacement": "true"}, perPacket: nil} {
			c, one, err := b.ours(ctx, name, size, settings)
			if err != nil {
				return s, err
			}
			defer c.Close()
			list = append(list, one)
		}
		if what := b.Lacking(); what != "" {
			if size == sizes[0] {
				s.Notes = append(s.Notes, "kube-proxy was not measured: there is no "+what+".")
			}
			continue
		}
		for name, mode := range map[string]string{nft: "nftables", ipt: "iptables"} {
			b.Progress("%s with %d services", name, size)
			p, err := b.Bridged(ctx, mode, size)
			if err != nil {
				return s, err
			}
			defer p.Close()
			list = append(list, &contender{Way: p.Way, name: name, size: size})
		}
	}
	order := []string{atSockets, perPacket, nft, ipt, again}
	first := figures(list).of(atSockets, sizes[0])
	list = append(list, &contender{Way: first.Way, name: again, size: first.size})
	for _, c := range list {
		c.rates, c.each = map[cell][]float64{}, map[cell]map[string][]float64{}
	}
	slices.SortStableFunc(list, func(x, y *contender) int {
		return 10*(slices.Index(sizes, x.size)-slices.Index(sizes, y.size)) + slices.Index(order, x.name) - slices.Index(order, y.name)
	})
	if err := b.race(ctx, list); err != nil {
		return s, err
	}
	if err := b.count(ctx, list); err != nil {
		return s, err
	}
	tell(&s, list)
	return s, nil
}

// ours is a node whose pods call each other.
func (b Bench) ours(ctx context.Context, name string, size int, settings map[string]string) (*nettest.Cluster, *contender, error) {
	c, a, err := b.prepare(fmt.Sprintf("services%d%c", size, name[len(name)-1]), settings)
	if err != nil {
		return nil, nil, err
	}
	err = a.Start()
	for _, pod := range []string{"client", "server"} {
		if err == nil {
			_, err = a.AddPod(ctx, nettest.PodSpec{Name: pod, Labels: map[string]string{"app": pod}})
		}
	}
	if err == nil {
		err = c.Put(control.Services(size, a.Pod("server").Addresses[0], load.Port).Objects()...)
	}
	if err == nil {
		err = c.Settle(ctx)
	}
	if err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	way := load.Way{Client: a.Pod("client").Station, Server: a.Pod("server").Station, Service: netip.AddrPortFrom(control.Address, control.Port), ClientEnds: true}
	return c, &contender{Way: way, name: name, size: size, nodes: c.Nodes()}, nil
}

// prepare makes a cluster of one node, whose agent does not run yet.
func (b Bench) prepare(name string, settings map[string]string) (*nettest.Cluster, *nettest.Node, error) {
	c, err := b.Cluster(name)
	if err != nil {
		return nil, nil, err
	}
	a, err := c.PrepareNode("a", settings)
	if err == nil {
		a.Profile, err = b.Profiles(name)
	}
	if err != nil {
		c.Close()
	}
	return c, a, err
}

// run measures a cell once.
func (c *contender) run(k kind, u use, d time.Duration) (float64, error) {
	w := c.Way
	switch u {
	case direct:
		w.Service = netip.AddrPort{}
	case random:
		w.Among = c.size
	}
	v, err := k.run(w, d)
	if err != nil {
		err = fmt.Errorf("%v: %s, to %v: %w", c, k.name, u, err)
	}
	return v, err
}

// uses are what calls of a kind go to, in an order of each round.
func (k kind) uses(round int) []use {
	list := []use{direct, hot}
	if k.each {
		list = append(list, random)
	}
	turn := round % len(list)
	return slices.Concat(list[turn:], list[:turn])
}

func (b Bench) race(ctx context.Context, list []*contender) error {
	for round := range b.Rounds {
		for _, k := range kinds {
			for _, c := range list {
				for _, u := range k.uses(round) {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					v, err := c.run(k, u, b.Time)
					if err != nil {
						return err
					}
					at := cell{k.name, u}
					c.rates[at] = append(c.rates[at], v)
					b.Progress("round %d/%d  %-44s %-44v %-10v %10s/s", round+1, b.Rounds, k.name, c, u, chart.Figure(v))
				}
			}
		}
	}
	return nil
}

// count lets the kernel count what programs take.
func (b Bench) count(ctx context.Context, list []*contender) error {
	for round := range b.Rounds {
		for _, k := range kinds {
			for _, c := range list {
				if c.nodes == nil {
					continue
				}
				for _, u := range k.uses(round) {
					got, err := count.While(ctx, c.nodes, b.Time, func(d time.Duration) (float64, error) { return c.run(k, u, d) })
					if err != nil {
						return err
					}
					at := cell{k.name, u}
					if c.each[at] == nil {
						c.each[at] = map[string][]float64{}
					}
					for program, ns := range got.Each {
						c.each[at][program] = append(c.each[at][program], ns)
					}
				}
			}
		}
	}
	return nil
}
