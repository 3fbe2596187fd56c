package filter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Clsact makes the clsact qdisc of a device, and deletes it where it was made here: a folder in Dir remembers.
//
// A device that gets or loses the qdisc drops what it is to send until the kernel has started its queues anew (qdisc_graft in
// net/sched/sch_api.c calls dev_deactivate, which waits for an RCU grace period). So it is made when the first program is
// attached, also by tcx, and goes with the last: in between programs change the way by which they are attached at no loss.
type Clsact struct{ Dir string }

const clsactSuffix = "-clsact" // of the folder

func (c Clsact) qdisc(ifindex int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func (c Clsact) mark(ifindex int) string {
	return filepath.Join(c.Dir, fmt.Sprint(ifindex, clsactSuffix))
}

// Program is what is attached.
type Program struct {
	Name  string
	First bool // it comes before all others of its side
	FD    int
}

// Attach puts a program on one side of a device, or in the place of the one of that name. A CNI ADD waits for it: all goes through one socket.
func (c Clsact) Attach(ifindex int, side uint32, p Program) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink socket: %w", err)
	}
	defer h.Close()
	made, err := c.configure(h, ifindex)
	if err != nil {
		return err
	}
	var there []netlink.Filter
	if !made { // a new one has none
		if there, err = list(h, ifindex, side); err != nil {
			return err
		}
	}
	f := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: ifindex, Parent: side, Handle: HandleOf(p.First), Protocol: unix.ETH_P_ALL, Priority: Free(there, p.First)},
		Fd:          p.FD, Name: Prefix + p.Name, DirectAction: true,
	}
	if old := Named(there, p.Name); old != nil {
		f.FilterAttrs = *old.Attrs()
		f.Protocol = unix.ETH_P_ALL
		return h.FilterReplace(f)
	}
	return h.FilterAdd(f)
}

// Configure makes the qdisc of a device, unless there is one.
func (c Clsact) Configure(ifindex int) (made bool, err error) {
	return c.configure(&netlink.Handle{}, ifindex) // each request has a socket of its own
}

func (c Clsact) configure(h *netlink.Handle, ifindex int) (made bool, err error) {
	err = h.QdiscAdd(c.qdisc(ifindex))
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make clsact qdisc: %w", err)
	}
	if err := os.Mkdir(c.mark(ifindex), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return false, fmt.Errorf("remember the clsact qdisc: %w", err)
	}
	return true, nil
}

// There tells whether a device has one.
func (c Clsact) There(ifindex int) (bool, error) {
	list, err := Steady(func() ([]netlink.Qdisc, error) {
		return netlink.QdiscList(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: ifindex}})
	})
	if err != nil && !Absent(err) {
		return false, fmt.Errorf("list qdiscs: %w", err)
	}
	return slices.ContainsFunc(list, func(q netlink.Qdisc) bool { return q.Attrs().Parent == netlink.HANDLE_CLSACT }), nil
}

// Release deletes the qdisc of a device if it was made here and no filter of it is left.
func (c Clsact) Release(ifindex int) error {
	if _, err := os.Stat(c.mark(ifindex)); err != nil {
		return nil
	}
	for _, side := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if left, err := List(ifindex, side); err != nil || len(left) > 0 {
			return err
		}
	}
	if err := netlink.QdiscDel(c.qdisc(ifindex)); err != nil && !Absent(err) {
		return fmt.Errorf("delete clsact qdisc: %w", err)
	}
	if err := os.Remove(c.mark(ifindex)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget the clsact qdisc: %w", err)
	}
	return nil
}
