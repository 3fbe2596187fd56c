package datapath

import (
	"errors"
	"math"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// tcx attaches by BPF links at a device's tcx hooks (Linux 6.6). They run before any classic traffic control.
type tcx struct{ pins }

func (tcx) name() string { return "tcx" }

func (t tcx) attach(program string, p *ebpf.Program, ifindex int) error {
	if done, err := t.update(program, p, ifindex); done || err != nil {
		return err
	}
	side := ebpf.AttachTCXIngress
	if outwards(program) {
		side = ebpf.AttachTCXEgress
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: p, Attach: side})
	if err != nil {
		return err
	}
	return t.keep(l, program, ifindex)
}

func (t tcx) detach(program string, ifindex int) error {
	return t.remove(link.TCXType, program, ifindex)
}

func (t tcx) list() ([]Attachment, error) { return t.links(link.TCXType, t.name()) }

// HaveTCX tells whether the kernel has tcx, by trying it on a device that cannot be.
var HaveTCX = sync.OnceValue(func() bool {
	p, err := idle()
	if err != nil {
		return false
	}
	defer p.Close()
	_, err = link.AttachTCX(link.TCXOptions{Interface: math.MaxInt32, Program: p, Attach: ebpf.AttachTCXIngress})
	return !errors.Is(err, link.ErrNotSupported)
})

// idle is a program that lets pass.
func idle() (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
}
