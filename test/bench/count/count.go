// Package count asks the kernel what the programs of nodes take while there is some traffic (bpf_stats_enabled, bpf(2)). The kernel adds
// some 20 to 40 ns to each run that it counts, so what is counted is not measured otherwise at the same time.
//
// # Invariants
//
//   - A program on several devices counts once; one that hardly ran was not on the way, and is left out.
//
// # Example
//
//	u, err := count.While(ctx, cluster.Nodes(), time.Second, func(d time.Duration) (float64, error) { return load.Transactions(way, d) })
//	fmt.Println(u.Each["from_pod"], "ns per packet")
package count

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
)

// Hooks are all programs that packets meet, in that order, but for xdp, and before them those at sockets.
var Hooks = append(sockets, "from_pod", "to_pod", "to_overlay", "to_net", "from_net", "from_overlay")

var sockets = []string{"connect4", "sendmsg4", "recvmsg4", "getpeername4"}

// Usage is how some traffic used the programs.
type Usage struct {
	Rate  float64            // of the traffic
	Each  map[string]float64 // ns per run by program
	Runs  map[string]uint64
	Share float64 // of the time that it took, in all programs together
}

// counted is what the kernel has counted of a program.
type counted struct {
	Runs    uint64
	Runtime time.Duration
}

// totals adds up what each program did on all devices of some nodes.
func totals(ctx context.Context, nodes []*nettest.Node) (map[string]counted, error) {
	sum := map[string]counted{}
	add := func(name string, runs uint64, runtime time.Duration) {
		sum[name] = counted{sum[name].Runs + runs, sum[name].Runtime + runtime}
	}
	for _, n := range nodes {
		list, err := n.Programs(ctx)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, p := range list {
			if !seen[p.Name] { // one program on several devices
				add(p.Name, p.Runs, p.Runtime)
			}
			seen[p.Name] = true
		}
		for _, name := range sockets {
			stats, err := atSocket(n, name)
			if err != nil {
				return nil, fmt.Errorf("read program %s of node %s: %w", name, n.Name, err)
			}
			add(name, stats.RunCount, stats.Runtime)
		}
	}
	return sum, nil
}

// atSocket reads what the kernel has counted of a program at sockets; zero: there is none.
func atSocket(n *nettest.Node, name string) (stats ebpf.ProgramStats, err error) {
	err = n.Do(func() error {
		l, err := link.LoadPinnedLink(filepath.Join(process.PinDir, "links", "socket-"+name), nil)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer l.Close()
		info, err := l.Info()
		if err != nil {
			return err
		}
		p, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			return err
		}
		defer p.Close()
		of, err := p.Stats()
		if err == nil {
			stats = *of
		}
		return err
	})
	return stats, err
}

// While runs some traffic for a time while the kernel counts.
func While(ctx context.Context, nodes []*nettest.Node, d time.Duration, run func(time.Duration) (float64, error)) (u Usage, err error) {
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return u, fmt.Errorf("let the kernel count what programs take: %w", err)
	}
	defer stats.Close()
	before, err := totals(ctx, nodes)
	if err != nil {
		return u, err
	}
	if u.Rate, err = run(d); err != nil {
		return u, err
	}
	after, err := totals(ctx, nodes)
	if err != nil {
		return u, err
	}
	u.Each, u.Runs = map[string]float64{}, map[string]uint64{}
	var took time.Duration
	for _, name := range Hooks {
		runs, runtime := after[name].Runs-before[name].Runs, after[name].Runtime-before[name].Runtime
		if runs < 100 {
			continue // not on this way
		}
		u.Runs[name], u.Each[name] = runs, float64(runtime.Nanoseconds())/float64(runs)
		took += runtime
	}
	u.Share = float64(took) / float64(d)
	return u, nil
}
