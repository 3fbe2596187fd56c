package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/bare"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

const crowd = 100 // pods that come at once

// stampede starts commands that wait, and lets them all go at one moment: how long each takes from then on, in ms. A
// shell waits for each, since a process that forks a hundred others takes longer for that than they do.
func stampede(commands []*exec.Cmd) ([]float64, [][]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	waiting, waits, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer waiting.Close()
	outs := make([]bytes.Buffer, len(commands))
	for i, c := range commands {
		shell := exec.Command("/bin/sh", "-c", `echo >&4; exec 4>&-; read -r go <&3; exec 3<&-; exec "$0"`, c.Path)
		shell.Env, shell.Stdin, shell.Stdout, shell.Stderr, shell.ExtraFiles = c.Env, c.Stdin, &outs[i], &outs[i], []*os.File{r, waits}
		if err := shell.Start(); err != nil {
			return nil, nil, err
		}
		commands[i] = shell
	}
	waits.Close()
	if _, err := io.ReadFull(waiting, make([]byte, len(commands))); err != nil {
		return nil, nil, fmt.Errorf("wait until all shells wait: %w", err)
	}
	r.Close()
	took, errs := make([]float64, len(commands)), make([]error, len(commands))
	over := make(chan int, len(commands))
	began := time.Now()
	w.Close() // go
	for i, c := range commands {
		go func() {
			errs[i] = c.Wait()
			took[i] = ms(time.Since(began))
			over <- i
		}()
	}
	texts := make([][]byte, len(commands))
	for range commands {
		i := <-over
		texts[i] = outs[i].Bytes()
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%w: %s", errs[i], texts[i])
		}
	}
	return took, texts, errors.Join(errs...)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// guests are pods that are not attached yet.
type guests []*nettest.Pod

func prepare(n *nettest.Node, prefix string, count int) (list guests, err error) {
	for i := range count {
		p, err := n.PreparePod(nettest.PodSpec{Name: fmt.Sprint(prefix, i), Labels: map[string]string{"app": "crowd"}})
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// together attaches all at once, by weft-cni: how long each took, in ms.
func (g guests) together(plugin string) ([]float64, error) {
	var commands []*exec.Cmd
	for _, p := range g {
		c, err := p.Command(plugin, "ADD")
		if err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	took, outs, err := stampede(commands)
	if err != nil {
		return nil, err
	}
	for i, p := range g {
		if err := p.Attached(outs[i]); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// idle runs weft-cni as often, and gives it nothing to do.
func idle(plugin string) ([]float64, error) {
	var commands []*exec.Cmd
	for range crowd {
		c := exec.Command(plugin)
		c.Env = append(os.Environ(), "CNI_COMMAND=VERSION")
		commands = append(commands, c)
	}
	took, _, err := stampede(commands)
	return took, err
}

// inTurn attaches one after the other.
func (g guests) inTurn(plugin string) (took []float64, err error) {
	for _, p := range g {
		c, err := p.Command(plugin, "ADD")
		if err != nil {
			return nil, err
		}
		one, _, err := stampede([]*exec.Cmd{c})
		if err != nil {
			return nil, err
		}
		took = append(took, one...)
	}
	return took, nil
}

// detach undoes it.
func (g guests) detach() error {
	errs := make(chan error, len(g))
	for _, p := range g {
		go func() { errs <- p.Del() }()
	}
	var all []error
	for range g {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// addTables are without rows yet.
func addTables() []report.Table {
	return []report.Table{
		{Header: []string{"wall time, ms", "p50", "least p50", "p99", "least p99"}},
		{Header: []string{"CPU time of the agent per ADD, ms", "median", "least"}},
	}
}

// spending tells what a crowd's ADDs have cost the processes of a group, each, in ms of CPU time.
func spending(g *cgroup.Group, run func() ([]float64, error)) (took []float64, each float64, err error) {
	before, err := g.Spent()
	if err != nil {
		return nil, 0, err
	}
	if took, err = run(); err != nil {
		return nil, 0, err
	}
	after, err := g.Spent()
	return took, ms(after-before) / crowd, err
}

// buildCNI builds weft-cni, as it is on nodes.
func (b *bench) buildCNI(ctx context.Context) error {
	if b.weftCNI != "" {
		return nil
	}
	path := filepath.Join(b.Dir, "weft-cni")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "weftnet.io/weftnet/cmd/weft-cni")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build weft-cni: %w\n%s", err, out)
	}
	b.weftCNI = path
	return nil
}

// adds measures CNI ADDs.
func (b *bench) adds(ctx context.Context) (s report.Section, err error) {
	s.Title = "CNI ADD"
	if err := b.buildCNI(ctx); err != nil {
		return s, err
	}
	g, err := cgroup.New("weft-bench-adds")
	if err != nil {
		return s, err
	}
	defer g.Close()
	c, n, err := b.confined("adds", g)
	if err != nil {
		return s, err
	}
	defer c.Close()
	// A pod with the same labels has been here already: no ADD waits for the cluster to agree on a number.
	if _, err := n.AddPod(ctx, nettest.PodSpec{Name: "first", Labels: map[string]string{"app": "crowd"}}); err != nil {
		return s, err
	}
	pods, err := prepare(n, "crowd", crowd)
	if err != nil {
		return s, err
	}
	if err := c.Settle(ctx); err != nil {
		return s, err
	}
	runs := []struct {
		name string
		ours bool // attaches pods
		run  func() ([]float64, error)
	}{
		{fmt.Sprint(crowd, " at once"), true, func() ([]float64, error) { return pods.together(b.weftCNI) }},
		{"the same netlink calls alone, at once", false, func() ([]float64, error) { return bare.Links(b.Dir, len(pods), false) }},
		{"weft-cni alone (VERSION), at once", false, func() ([]float64, error) { return idle(b.weftCNI) }},
		{"one at a time", true, func() ([]float64, error) { return pods.inTurn(b.weftCNI) }},
		{"the same netlink calls alone, one at a time", false, func() ([]float64, error) { return bare.Links(b.Dir, len(pods), true) }},
		{fmt.Sprint(crowd, " at once, agent limited to 500m"), true, func() ([]float64, error) {
			took, err := []float64(nil), g.Limit(500)
			if err == nil {
				took, err = pods.together(b.weftCNI)
			}
			return took, errors.Join(err, g.Limit(0))
		}},
	}
	p50, p99, spent := make([][]float64, len(runs)), make([][]float64, len(runs)), make([][]float64, len(runs))
	for round := range b.rounds {
		for i, r := range runs {
			if ctx.Err() != nil {
				return s, ctx.Err()
			}
			took, each, err := spending(g, r.run)
			if err != nil {
				return s, fmt.Errorf("%s: %w", r.name, err)
			}
			spent[i] = append(spent[i], each)
			p50[i], p99[i] = append(p50[i], report.Quantile(took, 0.5)), append(p99[i], report.Quantile(took, 0.99))
			progress("round %d/%d  %-44s p50 %6.1f ms  p99 %6.1f ms  CPU %.2f ms", round+1, b.rounds, r.name, report.Quantile(took, 0.5), report.Quantile(took, 0.99), each)
			if r.ours {
				if err := errors.Join(pods.detach(), c.Settle(ctx)); err != nil {
					return s, err
				}
			}
		}
	}
	s.Tables = addTables()
	groups := []chart.Group{{Name: "p50", Unit: "ms"}, {Name: "p99", Unit: "ms"}}
	for i, r := range runs {
		s.Tables[0].Rows = append(s.Tables[0].Rows, []string{
			r.name, fmt.Sprintf("%.1f", report.Median(p50[i])), fmt.Sprintf("%.1f", report.Quantile(p50[i], 0)), fmt.Sprintf("%.1f", report.Median(p99[i])), fmt.Sprintf("%.1f", report.Quantile(p99[i], 0)),
		})
		if r.ours {
			s.Tables[1].Rows = append(s.Tables[1].Rows, []string{r.name, fmt.Sprintf("%.2f", report.Median(spent[i])), fmt.Sprintf("%.2f", report.Quantile(spent[i], 0))})
		}
		for j, v := range [][]float64{p50[i], p99[i]} {
			groups[j].Bars = append(groups[j].Bars, chart.Bar{Name: r.name, Value: report.Median(v), Least: report.Quantile(v, 0), Most: report.Quantile(v, 1), Ours: r.ours})
		}
	}
	s.Chart = chart.Chart{Title: s.Title, Groups: groups}
	atMost := func(what string, got, most float64, unit string) {
		s.Targets = append(s.Targets, report.Aimed(what, fmt.Sprintf("≤ %g%s", most, unit), fmt.Sprintf("%.1f%s", got, unit), got <= most))
	}
	atMost(runs[0].name+", p50", report.Median(p50[0]), 60, " ms")
	atMost(runs[0].name+", p99", report.Median(p99[0]), 120, " ms")
	atMost(runs[0].name+", p99 to that of the netlink calls alone", report.Ratio(p99[0], p99[1]), 2, "")
	atMost(runs[3].name+", p50", report.Median(p50[3]), 12, " ms")
	s.Notes = append(s.Notes, "From the moment at which all are let go to the end of each weft-cni, with all that it waits for. The netlink calls alone are those "+
		"that the agent makes for the same pods (veth pair, addresses, routes, neighbours, settings), as many at once, by a process that does nothing else. weft-cni alone is what it takes to start as many processes and see them end.")
	return s, nil
}

// confined is a cluster of one node whose agent runs in a control group.
func (b *bench) confined(name string, g *cgroup.Group) (*nettest.Cluster, *nettest.Node, error) {
	c, err := b.cluster(name, 0, nil)
	if err != nil {
		return nil, nil, err
	}
	n, err := c.PrepareNode("a", nil)
	if err == nil { // room for crowds: an address that was given back rests for a minute
		o := &v2.CiliumNode{}
		o.Name, o.Spec.IPAM.PodCIDRs = n.Name, []string{"10.128.0.0/16", "fd00:128::/64"}
		for _, a := range n.Addresses {
			o.Spec.Addresses = append(o.Spec.Addresses, v2.NodeAddress{Type: v2.NodeInternalIP, IP: a.String()})
		}
		err = c.Put(o)
	}
	if err == nil {
		n.Groups = g.Procs()
		n.Profile, err = b.profiles(name)
	}
	if err == nil {
		err = n.Start()
	}
	if err != nil {
		c.Close()
		return nil, nil, err
	}
	return c, n, nil
}
