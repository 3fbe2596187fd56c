package datapath

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"weftnet.io/weftnet/internal/datapath/object"
)

// tcx attaches by BPF links at a device's tcx hooks (Linux 6.6). They run before any classic traffic control.
type tcx struct{ pins }

func (tcx) name() string { return "tcx" }

func (t tcx) attach(program string, p *ebpf.Program, ifindex int) error {
	if done, err := t.update(program, p, ifindex); done || err != nil {
		return err
	}
	side := ebpf.AttachTCXIngress
	if object.Outwards(program) {
		side = ebpf.AttachTCXEgress
	}
	if _, err := qdiscs(t.dir).Configure(ifindex); err != nil { // for the day on which enable-tcx is turned off
		return err
	}
	options := link.TCXOptions{Interface: ifindex, Program: p, Attach: side}
	if object.First(program) {
		options.Anchor = link.Head()
	}
	l, err := link.AttachTCX(options)
	if err != nil {
		return err
	}
	return t.keep(l, program, ifindex)
}

func (t tcx) detach(program string, ifindex int) error {
	return t.remove(link.TCXType, program, ifindex)
}

func (t tcx) list() ([]Attachment, error) { return t.links(link.TCXType, t.name()) }
