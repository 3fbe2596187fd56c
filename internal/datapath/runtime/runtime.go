// Package runtime samples how long the node's programs run, with the statistics that the kernel keeps of them when it is asked to
// (BPF_ENABLE_STATS, Linux 5.8).
//
// They cost two reads of a clock per run of any program of the machine, so they are on while a sample is taken only, and nothing is
// paid in between. Runs of programs of others are not counted.
//
//	samples, err := runtime.Sample(ctx, datapath.Program, time.Second)
//	samples["from_pod"] // Runs: 1200, Time: 480µs
package runtime

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath/object"
)

// Runs are those of a program during a sample.
type Runs struct {
	Runs uint64
	Time time.Duration // of all of them together
}

// Names are those of all programs.
func Names() (list []string, err error) {
	for _, one := range object.Names() {
		spec, err := object.Spec(one)
		if err != nil {
			return nil, err
		}
		for name := range spec.Programs {
			list = append(list, name)
		}
	}
	return list, nil
}

// Sample counts runs for a while. find gives a program by its name; nil: it is not loaded. A program that is replaced meanwhile is left
// out.
func Sample(ctx context.Context, find func(name string) *ebpf.Program, during time.Duration) (map[string]Runs, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for statistics of programs: %w", err)
	}
	defer stats.Close()
	before := read(names, find)
	select {
	case <-time.After(during):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	out := map[string]Runs{}
	for name, now := range read(names, find) {
		if was, ok := before[name]; ok && now.Runs >= was.Runs && now.Time >= was.Time {
			out[name] = Runs{now.Runs - was.Runs, now.Time - was.Time}
		}
	}
	return out, nil
}

func read(names []string, find func(string) *ebpf.Program) map[string]Runs {
	out := map[string]Runs{}
	for _, name := range names {
		p := find(name)
		if p == nil {
			continue
		}
		if s, err := p.Stats(); err == nil {
			out[name] = Runs{s.RunCount, s.Runtime}
		}
	}
	return out
}
