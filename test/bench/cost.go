package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/load"
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

func (b *bench) programs(ctx context.Context) (s section, err error) {
	s.title = "What the programs take"
	c, err := b.cluster("programs", 2, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	if err := pods(ctx, c, 2); err != nil {
		return s, err
	}
	a0, a1, b0, a := c.Node("a").Pod("a0").Place, c.Node("a").Pod("a1").Place, c.Node("b").Pod("b0").Place, c.Node("a").Place
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
	t := table{header: []string{"way", "program", "ns per packet", "least", "packets", "all programs' share of the time"}}
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
			t.rows = append(t.rows, []string{
				w.kind.name + ", " + w.name, "`" + name + "`", fmt.Sprintf("%.0f", median(each)), fmt.Sprintf("%.0f", quantile(each, 0)),
				fmt.Sprint(packets), fmt.Sprintf("%.1f %%", 100*median(shares)),
			})
			g.Bars = append(g.Bars, chart.Bar{Name: name, Value: median(each), Least: quantile(each, 0), Most: quantile(each, 1), Ours: true})
			progress("%-30s %-32s %-14s %6.0f ns per packet", w.kind.name, w.name, name, median(each))
		}
		s.chart.Groups = append(s.chart.Groups, g)
	}
	s.chart.Title = s.title
	s.tables = []table{t}
	s.notes = append(s.notes, "The kernel's own count, which adds some 20 to 40 ns to each run that it counts. A lone packet finds caches cold and is dearer than one of a crowd.")
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

func (b *bench) policies(ctx context.Context) (s section, err error) {
	const many = 1000
	s.title = "1,000 policies"
	var list []*contender
	var clusters []*nettest.Cluster
	for _, x := range []struct {
		name string
		n    int
	}{{"no policy", 0}, {"1,000 policies", many}} {
		c, err := b.cluster(fmt.Sprint("policies", x.n), 1, nil)
		if err != nil {
			return s, err
		}
		defer c.Close()
		if err := pods(ctx, c, 2); err != nil {
			return s, err
		}
		objects, err := rules(x.n)
		if err == nil {
			err = c.Put(objects...)
		}
		if err != nil {
			return s, err
		}
		if err := c.Settle(ctx); err != nil {
			return s, err
		}
		a := c.Node("a")
		clusters = append(clusters, c)
		list = append(list, &contender{Way: load.Way{Client: a.Pod("a0").Place, Server: a.Pod("a1").Place}, name: x.name, ours: true})
	}
	list = append(list, &contender{Way: list[0].Way, name: "no policy, again", ours: true})
	kinds := []kind{throughput, transactions, connections, datagrams}
	if err := b.race(ctx, list, kinds...); err != nil {
		return s, err
	}
	compare(&s, list, kinds...)
	for _, k := range kinds {
		s.aim(k, list[1], list[0], 0.98)
	}
	s.again(list[0], list[2], kinds...)
	// Noise is more than 2 %: what counts is what the programs take.
	t := table{header: []string{"ns per packet of `from_pod`", "no policy", "1,000 policies", "ratio"}}
	for _, k := range []kind{transactions, datagrams, connections} {
		var each [2][]float64
		for range b.rounds {
			for i, c := range clusters {
				u, err := count(ctx, c.Nodes(), k, list[i].Way, b.time)
				if err != nil {
					return s, err
				}
				each[i] = append(each[i], u.each["from_pod"])
			}
		}
		r := ratio(each[1], each[0])
		t.rows = append(t.rows, []string{k.name, fmt.Sprintf("%.0f", median(each[0])), fmt.Sprintf("%.0f", median(each[1])), fmt.Sprintf("%.3f", r)})
		s.targets = append(s.targets, target{"ns per packet, " + k.name, "≤ 1.02 of no policy", fmt.Sprintf("%.3f", r), r <= 1.02})
	}
	s.tables = append(s.tables, t)
	return s, nil
}

// rules are n policies that isolate all pods. Each lets one port in; the first lets in all that is called, too.
func rules(n int) ([]runtime.Object, error) {
	var list []json.RawMessage
	for i := range n {
		ports := fmt.Sprintf(`[{"ports": [{"port": "%d", "protocol": "TCP"}]}]`, 20000+i)
		if i == 0 {
			ports = `[{"ports": [{"port": "1", "endPort": 65535, "protocol": "ANY"}]}]`
		}
		list = append(list, json.RawMessage(fmt.Sprintf(`{"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "rule-%d", "namespace": %q},
			"spec": {"endpointSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "a"}}], "toPorts": %s}],
			"egress": [{"toEndpoints": [{"matchLabels": {"app": "a"}}]}]}}`, i, metav1.NamespaceDefault, ports)))
	}
	return process.Decode(list)
}
