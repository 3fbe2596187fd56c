// Package ledger takes what a program costs apart: by steps, which are the files of its source.
//
// # The world it models
//
// A clock interrupts each CPU many times a second (perf_event_open(2), PERF_COUNT_SW_CPU_CLOCK, which virtual machines have, too) and notes where
// the kernel was, and by which calls it came there. The innermost of these places that is the program's has a line of source (bpf_prog_info,
// jited_line_info), and so a file: a header is a step. What the kernel did for that line, such as looking up a row of a map, is told apart
// from what the program did itself.
//
//	place:  __htab_map_lookup_elem <- from_pod, ct.h:41 <- tcx_run      a sample of ct.h, in the kernel
//	place:  from_pod, parse.h:80 <- tcx_run                             a sample of parse.h, its own
//
// # Invariants
//
//   - A step's nanoseconds are its part of the samples times the interval, over the packets: they add up to what the program took without what the kernel
//     does around it.
//   - Programs of other agents on the machine, even of the same name, are not looked at.
//
// # Example
//
//	l, err := ledger.While(node, "from_pod", func() error { return load(…) })
//	for _, s := range l.Steps { fmt.Println(s.File, s.Own, s.Kernel) }
package ledger

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/process"
)

// Ledger is what a program took.
type Ledger struct {
	Packets uint64
	Samples int
	Steps   []Step // the dearest first
}

// Step is what lines of one file took, in ns per packet.
type Step struct {
	File        string  // as ct.h
	Own, Kernel float64 // in the program, and in what it called of the kernel
}

// program is one that is on devices of a node.
type program struct {
	*ebpf.Program
	functions []function
	lines     []line // in the order of their addresses
}

type function struct{ from, to uint64 }

type line struct {
	at   uint64
	file string
}

// While runs some traffic, and says what a program took on the devices of a node.
func While(n *nettest.Node, name string, run func() error) (l Ledger, err error) {
	p, err := find(n, name)
	if err != nil {
		return l, fmt.Errorf("find program %s of node %s: %w", name, n.Name, err)
	}
	defer p.Close()
	stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
	if err != nil {
		return l, fmt.Errorf("let the kernel count packets: %w", err)
	}
	defer stats.Close()
	before, err := p.Stats()
	if err != nil {
		return l, fmt.Errorf("read how often %s ran: %w", name, err)
	}
	type cost struct{ own, kernel int }
	steps := map[string]*cost{}
	end, err := sample(func(chain []uint64) {
		file, own := p.at(chain)
		if file == "" {
			return
		}
		if steps[file] == nil {
			steps[file] = &cost{}
		}
		if l.Samples++; own {
			steps[file].own++
		} else {
			steps[file].kernel++
		}
	})
	if err != nil {
		return l, err
	}
	err = run()
	if e := end(); err == nil {
		err = e
	}
	if err != nil {
		return l, err
	}
	after, err := p.Stats()
	if err != nil {
		return l, fmt.Errorf("read how often %s ran: %w", name, err)
	}
	if l.Packets = after.RunCount - before.RunCount; l.Packets == 0 {
		return l, fmt.Errorf("program %s of node %s has met no packet", name, n.Name)
	}
	each := float64(interval) / float64(l.Packets)
	for file, c := range steps {
		l.Steps = append(l.Steps, Step{file, float64(c.own) * each, float64(c.kernel) * each})
	}
	slices.SortFunc(l.Steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(b.Own+b.Kernel, a.Own+a.Kernel), cmp.Compare(a.File, b.File))
	})
	return l, nil
}

// find opens the program that the node's agent has put on devices.
func find(n *nettest.Node, name string) (p *program, err error) {
	err = n.Do(func() error {
		attached, err := datapath.List(process.PinDir)
		if err != nil {
			return err
		}
		for _, a := range attached {
			if a.Program == name && a.ID != 0 {
				p, err = open(a.ID)
				return err
			}
		}
		return fmt.Errorf("it is on none of its devices")
	})
	return p, err
}

func open(id ebpf.ProgramID) (*program, error) {
	of, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return nil, err
	}
	p := &program{Program: of}
	info, err := of.Info()
	if err == nil {
		err = p.read(info)
	}
	if err != nil {
		of.Close()
		return nil, err
	}
	return p, nil
}

func (p *program) read(info *ebpf.ProgramInfo) error {
	starts, ok := info.JitedKsymAddrs()
	lengths, known := info.JitedFuncLens()
	at, have := info.JitedLineInfos()
	if !ok || !known || !have || len(starts) != len(lengths) {
		return fmt.Errorf("the kernel does not tell where it lies (net.core.bpf_jit_enable, kernel.kptr_restrict)")
	}
	for i, start := range starts {
		p.functions = append(p.functions, function{uint64(start), uint64(start) + uint64(lengths[i])})
	}
	lines, err := info.LineInfos()
	if err != nil {
		return fmt.Errorf("read its lines: %w", err)
	}
	if len(lines) != len(at) {
		return fmt.Errorf("it has %d lines of source, and %d places", len(lines), len(at))
	}
	for i, l := range lines {
		p.lines = append(p.lines, line{at[i], path.Base(l.Line.FileName())})
	}
	slices.SortStableFunc(p.lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	return nil
}

// at gives the file of the innermost place that is the program's; own: it is the place itself, nothing that was called from there.
func (p *program) at(chain []uint64) (file string, own bool) {
	for depth, ip := range chain {
		if depth > 0 {
			ip-- // where it returns to is behind the call
		}
		if !slices.ContainsFunc(p.functions, func(f function) bool { return f.from <= ip && ip < f.to }) {
			continue
		}
		i, exact := slices.BinarySearchFunc(p.lines, ip, func(l line, ip uint64) int { return cmp.Compare(l.at, ip) })
		for exact && i+1 < len(p.lines) && p.lines[i+1].at == ip {
			i++
		}
		if !exact {
			i--
		}
		if i < 0 {
			return "", false
		}
		return p.lines[i].file, depth == 0
	}
	return "", false
}
