package datapath

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/datapath/filter"
	"weftnet.io/weftnet/internal/datapath/object"
)

// classic attaches by cls_bpf filters of a device's clsact qdisc, the only way where the kernel has no tcx. Nothing is
// pinned: a filter lives as long as its device, and is found again by its name and handle.
//
// Replacing a filter swaps its program under RCU (cls_bpf_change), so each packet meets the old one or the new one.
type classic struct{ dir string }

func (classic) name() string { return "cls_bpf" }

func (c classic) attach(program string, p *ebpf.Program, ifindex int) error {
	return qdiscs(c.dir).Attach(ifindex, filterOf(program, p))
}

func filterOf(program string, p *ebpf.Program) filter.Program {
	return filter.Program{Name: program, Side: filter.Side(object.Outwards(program)), First: object.First(program), FD: p.FD()}
}

func (c classic) detach(program string, ifindex int) error {
	there, err := filter.List(ifindex, filter.Side(object.Outwards(program)))
	if err != nil {
		return err
	}
	if old := filter.Named(there, program); old != nil {
		if err := netlink.FilterDel(old); err != nil && !filter.Absent(err) {
			return fmt.Errorf("delete filter: %w", err)
		}
	}
	return nil
}

func (c classic) list() (list []Attachment, err error) {
	qdiscs, err := filter.Steady(func() ([]netlink.Qdisc, error) { return netlink.QdiscList(nil) })
	if err != nil {
		return nil, fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		if q.Attrs().Parent != netlink.HANDLE_CLSACT {
			continue
		}
		for _, side := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
			there, err := filter.List(q.Attrs().LinkIndex, side)
			if err != nil {
				return nil, err
			}
			for _, f := range there {
				if program, ok := filter.Ours(f); ok {
					list = append(list, Attachment{Ifindex: q.Attrs().LinkIndex, Program: program, By: c.name(), ID: ebpf.ProgramID(f.(*netlink.BpfFilter).Id)})
				}
			}
		}
	}
	return list, nil
}

// qdiscs are those of this pin directory's devices.
func qdiscs(dir string) filter.Clsact { return filter.Clsact{Dir: linksOf(dir).Dir} }

// release deletes the qdisc of a device that was made here, if nothing is attached to the device any more.
func release(dir string, ifindex int) error {
	if linksOf(dir).Any(link.TCXType, ifindex, Programs...) {
		return nil
	}
	return qdiscs(dir).Release(ifindex)
}
