package datapath

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"weftnet.io/weftnet/internal/datapath/filter"
	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/datapath/pin"
)

// tcx attaches by BPF links at a device's tcx hooks (Linux 6.6). They run before any classic traffic control.
type tcx struct{ pin.Links }

func (tcx) name() string { return "tcx" }

func (t tcx) attach(program string, p *ebpf.Program, ifindex int) error {
	if done, err := t.Update(program, p, ifindex); done || err != nil {
		return err
	}
	side := ebpf.AttachTCXIngress
	if object.Outwards(program) {
		side = ebpf.AttachTCXEgress
	}
	if err := (filter.Clsact{Dir: t.Dir}).Configure(ifindex); err != nil { // for the day on which enable-tcx is turned off
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
	return t.Keep(l, program, ifindex)
}

func (t tcx) detach(program string, ifindex int) error {
	return t.Remove(link.TCXType, program, ifindex)
}

func (t tcx) list() ([]Attachment, error) { return pinned(t.Links, link.TCXType, t.name()) }

// pinned are the programs that pinned links of a kind have on devices.
func pinned(links pin.Links, kind link.Type, by string) (list []Attachment, err error) {
	there, err := links.List(kind)
	for _, l := range there {
		list = append(list, Attachment{Ifindex: l.Ifindex, Program: l.Program, By: by, ID: l.ID})
	}
	return list, err
}
