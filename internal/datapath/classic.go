package datapath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath/object"
)

// classic attaches by filters of kind bpf below a device's clsact qdisc, as kernels without tcx want it. Nothing is
// pinned: a filter lives as long as its device, and is known by its name and handle.
//
// Replacing a filter swaps its program under RCU (cls_bpf_change), so each packet meets the old one or the new one.
type classic struct{ dir string }

const (
	filterPrefix = "weft:"    // of names, before that of the program
	filterHandle = 0x77656674 // "weft"
	filterFirst  = uint16(1)  // priority, unless a filter of another kind has it
	tries        = 5          // at a list that changes while the kernel writes it down
)

func (classic) name() string { return "cls_bpf" }

func (c classic) attach(program string, p *ebpf.Program, ifindex int) error {
	if err := clsact(c).configure(ifindex); err != nil {
		return err
	}
	there, err := filters(ifindex, parent(program))
	if err != nil {
		return err
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: parent(program), Handle: filterHandle, Protocol: unix.ETH_P_ALL, Priority: free(there),
		},
		Fd: p.FD(), Name: filterPrefix + program, DirectAction: true,
	}
	if old := named(there, program); old != nil {
		filter.FilterAttrs = *old.Attrs()
		filter.Protocol = unix.ETH_P_ALL
		return netlink.FilterReplace(filter)
	}
	return netlink.FilterAdd(filter)
}

func (c classic) detach(program string, ifindex int) error {
	there, err := filters(ifindex, parent(program))
	if err != nil {
		return err
	}
	if old := named(there, program); old != nil {
		if err := netlink.FilterDel(old); err != nil && !absent(err) {
			return fmt.Errorf("delete filter: %w", err)
		}
	}
	return clsact(c).release(ifindex)
}

func (c classic) list() (list []Attachment, err error) {
	var qdiscs []netlink.Qdisc
	for range tries {
		if qdiscs, err = netlink.QdiscList(nil); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range qdiscs {
		if q.Attrs().Parent != netlink.HANDLE_CLSACT {
			continue
		}
		for _, side := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
			there, err := filters(q.Attrs().LinkIndex, side)
			if err != nil {
				return nil, err
			}
			for _, f := range there {
				if program, ok := ours(f); ok {
					list = append(list, Attachment{Ifindex: q.Attrs().LinkIndex, Program: program, By: c.name(), ID: ebpf.ProgramID(f.(*netlink.BpfFilter).Id)})
				}
			}
		}
	}
	return list, nil
}

// parent is the side of a clsact qdisc that a program belongs to.
func parent(program string) uint32 {
	if object.Outwards(program) {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

// filters lists those on one side of a device; none if the device or its qdisc is gone.
func filters(ifindex int, side uint32) (list []netlink.Filter, err error) {
	device := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	for range tries {
		if list, err = netlink.FilterList(device, side); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	return list, nil
}

// absent says that a device, qdisc or filter has gone, and all on it.
func absent(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}

// ours gives the program of a filter of this project.
func ours(f netlink.Filter) (program string, ok bool) {
	b, ok := f.(*netlink.BpfFilter)
	if !ok || b.Handle != filterHandle {
		return "", false
	}
	return strings.CutPrefix(b.Name, filterPrefix)
}

// named finds our filter for a program.
func named(list []netlink.Filter, program string) netlink.Filter {
	for _, f := range list {
		if name, ok := ours(f); ok && name == program {
			return f
		}
	}
	return nil
}

// free is the least priority at which a bpf filter for all protocols may be added: the kernel wants one kind and one
// protocol for each.
func free(list []netlink.Filter) uint16 {
	taken := map[uint16]bool{}
	for _, f := range list {
		if a := f.Attrs(); f.Type() != "bpf" || a.Protocol != unix.ETH_P_ALL {
			taken[a.Priority] = true
		}
	}
	p := filterFirst
	for taken[p] {
		p++
	}
	return p
}
