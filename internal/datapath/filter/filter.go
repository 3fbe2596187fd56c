// Package filter finds the cls_bpf filters of a device by which programs are attached.
//
// # The world it models
//
// A filter sits below a device's clsact qdisc, on its ingress or egress side, at a priority. Many owners put theirs there: ours
// are told by name and handle, and the kernel wants one kind and one protocol at each priority.
//
// # Invariants
//
//   - A device or qdisc that is gone has no filters; that is no error.
//   - A filter of another owner is never Ours, whatever its name.
//
// # Example
//
//	there, err := filter.List(device, netlink.HANDLE_MIN_INGRESS)
//	if old := filter.Named(there, "from_net"); old == nil {
//		priority := filter.Free(there, false)
//	}
package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	Prefix = "weft:"    // of names, before that of the program
	Handle = 0x77656674 // "weft"

	// Priorities, unless a filter of another kind has them. At one priority the kernel asks the latest filter first (cls_bpf_change), which
	// puts one that comes first before those of agents that gave the others priority 1.
	first = uint16(1)
	other = uint16(2)

	tries = 5 // at a list that changes while the kernel writes it down
)

// Steady asks for a list again while that changes under the kernel's hands.
func Steady[T any](ask func() (T, error)) (list T, err error) {
	for range tries {
		if list, err = ask(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return list, err
}

// Side is that of what leaves by a device, or of what enters.
func Side(leaves bool) uint32 {
	if leaves {
		return netlink.HANDLE_MIN_EGRESS
	}
	return netlink.HANDLE_MIN_INGRESS
}

// List gives those on one side of a device; none if the device or its qdisc is gone.
func List(ifindex int, side uint32) ([]netlink.Filter, error) {
	device := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	list, err := Steady(func() ([]netlink.Filter, error) { return netlink.FilterList(device, side) })
	if Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	return list, nil
}

// Absent says that a device, qdisc or filter has gone, and all on it.
func Absent(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}

// Ours gives the program of a filter of this project.
func Ours(f netlink.Filter) (program string, ok bool) {
	b, ok := f.(*netlink.BpfFilter)
	if !ok || (b.Handle != HandleOf(false) && b.Handle != HandleOf(true)) {
		return "", false
	}
	return strings.CutPrefix(b.Name, Prefix)
}

// Named finds our filter for a program.
func Named(list []netlink.Filter, program string) netlink.Filter {
	for _, f := range list {
		if name, ok := Ours(f); ok && name == program {
			return f
		}
	}
	return nil
}

// HandleOf is the handle of a filter, which is the first of its side or not: there may be one of either at one priority.
func HandleOf(isFirst bool) uint32 {
	if isFirst {
		return Handle + 1
	}
	return Handle
}

// Free is the least priority at which a bpf filter for all protocols may be added, the first of its side or another one.
func Free(list []netlink.Filter, isFirst bool) uint16 {
	taken := map[uint16]bool{}
	for _, f := range list {
		if a := f.Attrs(); f.Type() != "bpf" || a.Protocol != unix.ETH_P_ALL {
			taken[a.Priority] = true
		}
	}
	p := other
	if isFirst {
		p = first
	}
	for taken[p] {
		p++
	}
	return p
}
