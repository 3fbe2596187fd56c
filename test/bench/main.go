// Bench measures what Weftnet costs beside other ways to connect network namespaces of one machine, and writes
// docs/benchmarks.md with its charts. It needs root, and a machine that does nothing else.
//
//	go run ./test/bench [-only same-node,adds] [-rounds 7] [-time 1s] [-write docs/benchmarks.md] [-profile DIR]
//
// # Rows
//
//	same-node    two pods of a node, beside a bare veth pair and the bridge plugin with kube-proxy
//	across-nodes VXLAN beside the kernel's own, native routing beside plain routing
//	policies     what packets cost with many policies, identities and rules, beside nftables
//	programs     what each BPF program takes per packet, as the kernel counts it
//	ledger       what each step of from_pod takes per packet, as a clock samples it
//	adds         CNI ADDs, 100 at once and one at a time, beside the same netlink calls alone
//	start        from the start of an agent to its first ADD
//	memory       an agent with 100 pods: its own memory, and all that its control group is charged
//	remote       100,000 pods of other nodes: memory, and how soon a change of one is in the kernel
//	policy-changes  how soon policies are in the kernel, 1,000 and 21,000 of them, beside nftables
//	services     calls by services, of 10, 1,000 and 10,000, beside calls by none and the real kube-proxy
//	service-changes  10,000 services of 10 endpoints: how soon they, and a change of one, are in the kernel, and what they take
//	flows        traffic with events off, on and streamed, what one agent takes in
//	network-adds CNI ADDs with 1 and 4 further NICs, beside the same plugins run by hand
//	network      traffic by macvlan NICs, open and with policy, beside macvlan of the kernel
//	claims       addresses of one range, given by three agents that are killed at random
//	relay        a relay of 50 agents: what it merges, and how soon it has a graph of 1,000 workloads
//
// # How
//
// Clients and servers are the same code for all ways (package load), each on a CPU of its own, where there are two.
// Rounds are interleaved: each measures every way once, Weftnet twice. How the two differ tells how much of the other
// differences to believe (the A/A line). Results are medians of rounds, ratios medians of the rounds' ratios. Where
// noise is larger than what is looked for, nanoseconds per packet decide, which the kernel counts (bpf_stats_enabled),
// in passes of their own, since counting costs too.
//
// Peers are in package peer; what the kernel and others do there is theirs (the real bridge plugin, the real kube-proxy).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/claim"
	"weftnet.io/weftnet/internal/nettest/process"
	"weftnet.io/weftnet/test/bench/bare"
	"weftnet.io/weftnet/test/bench/flows"
	"weftnet.io/weftnet/test/bench/network"
	"weftnet.io/weftnet/test/bench/peer"
	"weftnet.io/weftnet/test/bench/report"
	"weftnet.io/weftnet/test/bench/service"
)

// bench is one run.
type bench struct {
	peer.Tools
	rounds   int
	time     time.Duration
	services int
	write    string
	profile  string
	weftCNI  string
	api      string // kubeconfig of an API server that claims use, too; empty: none
	arg      string // what the run was told, for who wants to do the same
}

// row is something that is measured.
type row struct {
	name    string
	measure func(*bench, context.Context) (report.Section, error)
}

var rows = []row{
	{"same-node", (*bench).sameNode},
	{"across-nodes", (*bench).acrossNodes},
	{"policies", (*bench).policies},
	{"programs", (*bench).programs},
	{"ledger", (*bench).steps},
	{"adds", (*bench).adds},
	{"start", (*bench).start},
	{"memory", (*bench).memory},
	{"remote", (*bench).remote},
	{"policy-changes", (*bench).policyChanges},
	{"services", func(b *bench, ctx context.Context) (report.Section, error) {
		return service.Traffic(ctx, b.ofServices())
	}},
	{"service-changes", func(b *bench, ctx context.Context) (report.Section, error) {
		return service.Changes(ctx, b.ofServices())
	}},
	{"flows", func(b *bench, ctx context.Context) (report.Section, error) { return flows.Measure(ctx, b.ofFlows()) }},
	{"network-adds", func(b *bench, ctx context.Context) (report.Section, error) {
		if err := b.buildCNI(ctx); err != nil {
			return report.Section{}, err
		}
		return network.Adds(ctx, b.ofNetworks())
	}},
	{"network", func(b *bench, ctx context.Context) (report.Section, error) {
		return network.Traffic(ctx, b.ofNetworks())
	}},
	{"claims", func(b *bench, ctx context.Context) (report.Section, error) {
		return network.Claims(ctx, b.ofNetworks())
	}},
	{"relay", func(b *bench, ctx context.Context) (report.Section, error) { return flows.Relay(ctx, b.ofFlows()) }},
}

func (b *bench) ofFlows() flows.Bench {
	return flows.Bench{Rounds: b.rounds, Time: b.time, Node: b.confined, Profiles: b.profiles, Progress: progress}
}

func (b *bench) ofNetworks() network.Bench {
	return network.Bench{Tools: b.Tools, Rounds: b.rounds, Time: b.time, WeftCNI: b.weftCNI, Kubeconfig: b.api, Node: b.confined, Progress: progress}
}

func (b *bench) ofServices() service.Bench {
	empty := func(name string) (*nettest.Cluster, error) { return b.cluster(name, 0, nil) }
	return service.Bench{Tools: b.Tools, Rounds: b.rounds, Time: b.time, Cluster: empty, Profiles: b.profiles, Progress: progress}
}

func main() {
	process.Main()
	bare.Main()
	flows.Main()
	claim.Main()
	b, only, plugins := &bench{arg: strings.Join(os.Args[1:], " ")}, "", ""
	flag.StringVar(&only, "only", "", "rows to measure, with commas between them; empty: all")
	flag.IntVar(&b.rounds, "rounds", 7, "how often everything is measured")
	flag.DurationVar(&b.time, "time", time.Second, "of one measurement of traffic")
	flag.IntVar(&b.services, "services", 1000, "how many services there are, besides the one that is called")
	flag.StringVar(&b.write, "write", "", "file whose sections are replaced, with charts beside it; empty: print them")
	flag.StringVar(&b.profile, "profile", "", "folder for CPU and allocation profiles of agents and relays; it costs what they measure")
	flag.StringVar(&plugins, "cni-path", "/opt/cni/bin:/var/tmp/weft-lab/cni", "folders in which the bridge and host-local plugins are looked for")
	flag.StringVar(&b.KubeProxy, "kube-proxy", "/var/tmp/weft-lab/bin/weft-kube", "kube-proxy, or weft-kube, which is that too; make lab builds it")
	flag.StringVar(&b.api, "kubeconfig", "", "of a cluster with Weftnet, whose API server claims use, too; empty: none")
	flag.Parse()
	b.Plugins = strings.Split(plugins, ":")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, only string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: makes network namespaces")
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if b.Dir, err = os.MkdirTemp("", "weft"); err != nil {
		return err
	}
	defer os.RemoveAll(b.Dir)
	if b.profile != "" {
		if err := os.MkdirAll(b.profile, 0o755); err != nil {
			return err
		}
	}
	// The load blocks in system calls on threads of its own: no collector shall wait for them, and no goroutine.
	runtime.GOMAXPROCS(8)
	debug.SetGCPercent(-1)
	for _, r := range chosen {
		began := report.Machine()
		s, err := r.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		s.Name, s.Machine, s.Command = r.name, began, "go run ./test/bench "+b.arg
		if err := s.Publish(b.write); err != nil {
			return err
		}
		debug.FreeOSMemory() // between rows nothing is measured
	}
	return nil
}

func choose(only string) ([]row, error) {
	if only == "" {
		return rows, nil
	}
	var chosen []row
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			var known []string
			for _, r := range rows {
				known = append(known, r.name)
			}
			return nil, fmt.Errorf("-only: there is no row %q, there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

// cluster makes a cluster of nodes, named a, b, …, that run with some settings.
func (b *bench) cluster(name string, nodes int, settings map[string]string) (*nettest.Cluster, error) {
	dir := filepath.Join(b.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c, err := nettest.New(dir)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		n, err := c.PrepareNode(string(rune('a'+i)), settings)
		if err == nil {
			n.Profile, err = b.profiles(name)
		}
		if err == nil {
			err = n.Start()
		}
		if err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// profiles is the folder for profiles of a row's agents; empty: none.
func (b *bench) profiles(name string) (string, error) {
	if b.profile == "" {
		return "", nil
	}
	dir, err := filepath.Abs(filepath.Join(b.profile, name))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// progress tells who waits how far it is.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
