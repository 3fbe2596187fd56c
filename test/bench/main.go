// Bench measures what a packet of a pod costs beside other ways to connect two network namespaces of one machine, and
// writes docs/benchmarks.md. It needs root.
//
//	go run ./test/bench [-rounds 7] [-seconds 2] [-write docs/benchmarks.md]
//
// # How
//
// Every peer (Weftnet, a bare veth pair, a Linux bridge, the bridge CNI plugin if there is one) is two namespaces with a
// client and a server, the same program for all: one TCP stream (throughput), and one byte there and one back on one
// TCP connection (transactions). Client and server each have a CPU of their own, where there are two. Rounds are
// interleaved, Weftnet twice in each: how the two differ tells how much to believe of the other differences. Results are
// medians of rounds.
//
// What each BPF program takes per packet is counted by the kernel (bpf_enable_stats, kernel.bpf_stats_enabled), in
// passes of their own, since counting costs too.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/nettest/process"
)

// options are the flags.
type options struct {
	rounds  int
	seconds time.Duration
	write   string
	cniPath []string
}

func main() {
	process.Main()
	o := options{}
	cniPath := ""
	flag.IntVar(&o.rounds, "rounds", 7, "how often everything is measured")
	flag.DurationVar(&o.seconds, "time", 2*time.Second, "of one measurement")
	flag.StringVar(&o.write, "write", "", "file whose table is replaced; empty: print it")
	flag.StringVar(&cniPath, "cni-path", "/opt/cni/bin:/var/tmp/weft-lab/cni", "folders in which the bridge and host-local plugins are looked for")
	flag.Parse()
	o.cniPath = strings.Split(cniPath, ":")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root: makes network namespaces")
	}
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	began := machine()
	peers, lab, err := newPeers(ctx, dir, o.cniPath)
	if err != nil {
		return err
	}
	defer lab.Close()
	// The load blocks in system calls on threads of its own: no collector shall wait for them, and no goroutine.
	runtime.GOMAXPROCS(8)
	debug.SetGCPercent(-1)
	for round := range o.rounds {
		for _, p := range peers {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := p.measure(o.seconds); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d/%d %-24s %6.2f Gbit/s %8.0f transactions/s\n",
				round+1, o.rounds, p.name, last(p.throughput), last(p.transactions))
		}
	}
	costs, err := programCosts(ctx, lab, o.seconds)
	if err != nil {
		return err
	}
	return report(o, began, peers, costs)
}
