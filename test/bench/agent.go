package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"k8s.io/apimachinery/pkg/runtime"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/test/bench/cgroup"
	"weftnet.io/weftnet/test/bench/chart"
	"weftnet.io/weftnet/test/bench/report"
)

const mebibyte = 1 << 20

// start measures from the start of an agent's process to the answer to its first ADD, on a node that has never had one
// and on one that has.
func (b *bench) start(ctx context.Context) (s report.Section, err error) {
	s.Title = "Agent start to first ADD"
	if err := b.buildCNI(ctx); err != nil {
		return s, err
	}
	names := []string{"a node that never had an agent", "a node after a restart"}
	took := make([][]float64, len(names))
	for round := range b.rounds {
		c, err := b.cluster(fmt.Sprint("start", round), 0, nil)
		if err != nil {
			return s, err
		}
		n, err := c.PrepareNode("a", nil)
		if err == nil {
			n.Profile, err = b.profiles(fmt.Sprint("start", round))
		}
		for i, name := range names {
			if err == nil {
				took[i], err = firstAdd(n, b.weftCNI, fmt.Sprint("pod", i), took[i])
			}
			if err != nil {
				c.Close()
				return s, fmt.Errorf("%s: %w", name, err)
			}
			progress("round %d/%d  %-36s %6.0f ms", round+1, b.rounds, name, took[i][round])
			n.Stop()
		}
		c.Close()
	}
	s.Tables = []report.Table{{Header: []string{"ms", "median", "least", "most"}}}
	g := chart.Group{Name: "from the start of the process to the answer", Unit: "ms", Target: 1000}
	for i, name := range names {
		m := report.Median(took[i])
		s.Tables[0].Rows = append(s.Tables[0].Rows, []string{name, fmt.Sprintf("%.0f", m), fmt.Sprintf("%.0f", report.Quantile(took[i], 0)), fmt.Sprintf("%.0f", report.Quantile(took[i], 1))})
		s.Targets = append(s.Targets, report.Aimed(name, "≤ 1000 ms", fmt.Sprintf("%.0f ms", m), m <= 1000))
		g.Bars = append(g.Bars, chart.Bar{Name: name, Value: m, Least: report.Quantile(took[i], 0), Most: report.Quantile(took[i], 1), Ours: true})
	}
	s.Chart = chart.Chart{Title: s.Title, Groups: []chart.Group{g}}
	s.Notes = append(s.Notes, "All objects are there when the agent asks for them; how long an API server takes to give them is not in it.")
	return s, nil
}

// firstAdd starts the agent of a node and attaches a pod, and adds how long that took.
func firstAdd(n *nettest.Node, plugin, pod string, took []float64) ([]float64, error) {
	list, err := prepare(n, pod, 1)
	if err != nil {
		return took, err
	}
	began := time.Now()
	if err := n.Start(); err != nil {
		return took, err
	}
	if _, err := list.together(plugin); err != nil {
		return took, err
	}
	return append(took, ms(time.Since(began))), nil
}

// memory measures an agent with 100 pods.
func (b *bench) memory(ctx context.Context) (s report.Section, err error) {
	s.Title = "Memory of an agent"
	if err := b.buildCNI(ctx); err != nil {
		return s, err
	}
	names := []string{"RSS", "RSS at most", "control group", "control group at most"}
	values := make([][]float64, len(names))
	for round := range b.rounds {
		v, err := b.weigh(ctx, round)
		if err != nil {
			return s, err
		}
		for i := range names {
			values[i] = append(values[i], v[i]/mebibyte)
		}
		progress("round %d/%d  RSS %.1f MiB, control group %.1f MiB", round+1, b.rounds, v[0]/mebibyte, v[2]/mebibyte)
	}
	s.Tables = []report.Table{{Header: []string{"with 100 pods, MiB", "median", "least", "most"}}}
	g := chart.Group{Name: "with 100 pods", Unit: "MiB"}
	for i, name := range names {
		s.Tables[0].Rows = append(s.Tables[0].Rows, []string{name, fmt.Sprintf("%.1f", report.Median(values[i])), fmt.Sprintf("%.1f", report.Quantile(values[i], 0)), fmt.Sprintf("%.1f", report.Quantile(values[i], 1))})
		g.Bars = append(g.Bars, chart.Bar{Name: name, Value: report.Median(values[i]), Least: report.Quantile(values[i], 0), Most: report.Quantile(values[i], 1), Ours: true})
	}
	rss, charge := report.Median(values[1]), report.Median(values[3])
	s.Targets = []report.Target{
		report.Aimed("RSS at most, 100 pods", "≤ 64 MiB", fmt.Sprintf("%.1f MiB", rss), rss <= 64),
		report.Aimed("charge of its control group at most, all maps at defaults", "≤ 512 MiB (the chart's limit)", fmt.Sprintf("%.1f MiB", charge), charge <= 512),
		report.Aimed("the same", "≤ 128 MiB", fmt.Sprintf("%.1f MiB", charge), charge <= 128),
	}
	s.Chart = chart.Chart{Title: s.Title, Groups: []chart.Group{g}}
	s.Notes = append(s.Notes, "The control group is charged the process, the files that it has read, and all maps and programs that it has made.")
	return s, nil
}

// weigh gives RSS now and at most, and the charge of the control group now and at most, in bytes.
func (b *bench) weigh(ctx context.Context, round int) (v [4]float64, err error) {
	g, err := cgroup.New(fmt.Sprint("weft-bench-memory-", round))
	if err != nil {
		return v, err
	}
	defer g.Close()
	c, n, err := b.confined(fmt.Sprint("memory", round), g)
	if err != nil {
		return v, err
	}
	defer c.Close()
	pods, err := prepare(n, "crowd", crowd)
	if err != nil {
		return v, err
	}
	if _, err := pods.together(b.weftCNI); err != nil {
		return v, err
	}
	if err := c.Settle(ctx); err != nil {
		return v, err
	}
	if v[0], v[1], err = cgroup.Resident(n.Process()); err != nil {
		return v, err
	}
	v[2], v[3], err = g.Charged()
	return v, err
}

// remote measures an agent that knows 100,000 pods of other nodes.
func (b *bench) remote(ctx context.Context) (s report.Section, err error) {
	const many, nodes, labels, changes = 100_000, 500, 1000, 1000
	s.Title = "100,000 remote pods"
	c, err := b.cluster("remote", 1, nil)
	if err != nil {
		return s, err
	}
	defer c.Close()
	n := c.Node("a")
	if err := c.Put(elsewhere(nodes, labels)...); err != nil {
		return s, err
	}
	list := make([]runtime.Object, many)
	for i := range list {
		list[i] = remotePod(i, nodes, labels)
	}
	began := time.Now()
	for len(list) > 0 {
		if err := c.Put(list[:1000]...); err != nil {
			return s, err
		}
		if list = list[1000:]; len(list)%10_000 == 0 {
			if err := c.Settle(ctx); err != nil {
				return s, err
			}
		}
	}
	filled := time.Since(began)
	now, most, err := cgroup.Resident(n.Process())
	if err != nil {
		return s, err
	}
	progress("%d remote pods in %v, RSS %.1f MiB, at most %.1f MiB", many, filled.Round(time.Millisecond), now/mebibyte, most/mebibyte)
	hosts, err := openHosts(n)
	if err != nil {
		return s, err
	}
	defer hosts.Close()
	var took []float64
	for i := range changes {
		if ctx.Err() != nil {
			return s, ctx.Err()
		}
		one, err := change(c, hosts, i*97%many, nodes, labels)
		if err != nil {
			return s, err
		}
		took = append(took, one)
	}
	p50, p99 := report.Quantile(took, 0.5), report.Quantile(took, 0.99)
	s.Tables = []report.Table{{Header: []string{fmt.Sprintf("%d pods on %d nodes, %d identities", many, nodes, labels), "value"}, Rows: [][]string{
		{"RSS", fmt.Sprintf("%.1f MiB", now/mebibyte)},
		{"RSS at most", fmt.Sprintf("%.1f MiB", most/mebibyte)},
		{"all in the kernel after", fmt.Sprintf("%.1f s", filled.Seconds())},
		{"a change of one to the kernel's map, p50", fmt.Sprintf("%.2f ms", p50)},
		{"the same, p99", fmt.Sprintf("%.2f ms", p99)},
	}}}
	s.Targets = []report.Target{
		report.Aimed("RSS at most", "≤ 256 MiB", fmt.Sprintf("%.1f MiB", most/mebibyte), most <= 256*mebibyte),
		report.Aimed("one remote change to the kernel's map, p99", "≤ 20 ms", fmt.Sprintf("%.2f ms", p99), p99 <= 20),
	}
	s.Chart = chart.Chart{Title: s.Title, Groups: []chart.Group{
		{Name: "RSS", Unit: "MiB", Target: 256, Bars: []chart.Bar{{Name: "now", Value: now / mebibyte, Ours: true}, {Name: "at most", Value: most / mebibyte, Ours: true}}},
		{Name: "one remote change to the kernel's map", Unit: "ms", Target: 20, Bars: []chart.Bar{{Name: "p50", Value: p50, Ours: true}, {Name: "p99", Value: p99, Ours: true}}},
	}}
	s.Notes = append(s.Notes, "The agent hears objects as from an API server, without the network between. A change is a pod's new identity; its time ends when the kernel's map `hosts` has it.")
	return s, nil
}

// elsewhere are nodes and identities of remote pods.
func elsewhere(nodes, labels int) (list []runtime.Object) {
	for i := range nodes {
		o := &v2.CiliumNode{}
		o.Name = fmt.Sprint("remote-", i)
		o.Spec.Addresses = []v2.NodeAddress{{Type: v2.NodeInternalIP, IP: nodeOf(i, nodes).String()}}
		list = append(list, o)
	}
	for i := range labels {
		o := &v2.CiliumIdentity{SecurityLabels: map[string]string{"k8s:app": fmt.Sprint("app-", i), "k8s:io.kubernetes.pod.namespace": "default"}}
		o.Name = fmt.Sprint(firstIdentity + i)
		list = append(list, o)
	}
	return list
}

const firstIdentity = 10_000

func nodeOf(i, nodes int) netip.Addr {
	i %= nodes
	return netip.AddrFrom4([4]byte{172, 29, byte(i >> 8), byte(i)})
}

func addressOf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(16 + i>>16), byte(i >> 8), byte(i)})
}

func remotePod(i, nodes, number int) *v2.CiliumEndpoint {
	o := &v2.CiliumEndpoint{}
	o.Namespace, o.Name = "default", fmt.Sprint("remote-", i)
	o.Status.State = v2.EndpointReady
	o.Status.Identity = &v2.EndpointIdentity{ID: int64(firstIdentity + i%number)}
	o.Status.Networking = &v2.EndpointNetworking{NodeIP: nodeOf(i, nodes).String(), Addressing: []v2.AddressPair{{IPV4: addressOf(i).String()}}}
	return o
}

// openHosts opens the map of single addresses of a node.
func openHosts(n *nettest.Node) (m *ebpf.Map, err error) {
	err = n.Do(func() error {
		m, err = ebpf.LoadPinnedMap(filepath.Join("/sys/fs/bpf/weft", "ipcache"), &ebpf.LoadPinOptions{ReadOnly: true})
		return err
	})
	return m, err
}

// change gives a remote pod another identity and returns how long it took until the kernel knows, in ms.
func change(c *nettest.Cluster, hosts *ebpf.Map, i, nodes, labels int) (float64, error) {
	o := remotePod(i, nodes, labels)
	want := int64(firstIdentity + (i+1)%labels)
	o.Status.Identity.ID = want
	key, value := abi.IpcacheKey{Addr: addressOf(i).As16()}, abi.Ipcache{}
	began := time.Now()
	if err := c.Put(o); err != nil {
		return 0, err
	}
	for {
		if err := hosts.Lookup(key, &value); err != nil {
			return 0, fmt.Errorf("look for %s in map ipcache: %w", addressOf(i), err)
		}
		if int64(value.Identity) == want {
			return ms(time.Since(began)), nil
		}
		if time.Since(began) > 10*time.Second {
			return 0, fmt.Errorf("%s has identity %d in map ipcache after 10 s, not %d", addressOf(i), value.Identity, want)
		}
	}
}
