package filter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/rtnetlink"
)

// Clsact makes the clsact qdisc of a device, and deletes it where it was made here: a folder in Dir remembers.
//
// A device that gets or loses the qdisc drops what it is to send until the kernel has started its queues anew (qdisc_graft in
// net/sched/sch_api.c calls dev_deactivate, which waits for an RCU grace period). So it is made before a workload's device is brought up, and
// elsewhere when the first program is attached, also by tcx, and goes with the last: in between programs change the way by which they are
// attached at no loss.
type Clsact struct{ Dir string }

const clsactSuffix = "-clsact" // of the folder

func (c Clsact) qdisc(ifindex int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
}

func (c Clsact) mark(ifindex int) string {
	return filepath.Join(c.Dir, fmt.Sprint(ifindex, clsactSuffix))
}

// Program is what is attached to a device.
type Program struct {
	Name  string
	Side  uint32 // see Side
	First bool   // it comes before all others of its side
	FD    int
}

// among is the filter of a program beside those that are there, of which none is its.
func (p Program) among(there []netlink.Filter, ifindex int) rtnetlink.Filter {
	return rtnetlink.Filter{Index: ifindex, Side: p.Side, Handle: HandleOf(p.First), Priority: Free(there, p.First), Name: Prefix + p.Name, FD: p.FD}
}

// Attach puts a program on a device, or in the place of the one of that name.
func (c Clsact) Attach(ifindex int, p Program) error {
	s, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	made, err := c.configure(s, ifindex)
	if err != nil {
		return err
	}
	var there []netlink.Filter
	if !made { // a new one has none
		if there, err = List(ifindex, p.Side); err != nil {
			return err
		}
	}
	if old := Named(there, p.Name); old != nil {
		return s.Make(Exchange(old, p.FD))
	}
	return s.Make(p.among(there, ifindex).Add())
}

// AttachNew puts programs on a device that was made here, and has no filters yet where they are to be. False: it has some, and they are as
// they were.
func (c Clsact) AttachNew(s *rtnetlink.Socket, ifindex int, programs ...Program) (done bool, err error) {
	made, err := c.configure(s, ifindex)
	if err != nil {
		return false, err
	}
	var changes []rtnetlink.Change
	for _, p := range programs {
		if !made {
			if there, err := s.HasFilters(ifindex, p.Side); there || err != nil {
				return false, err
			}
		}
		changes = append(changes, p.among(nil, ifindex).Add())
	}
	if !made {
		if err := c.remember(ifindex); err != nil {
			return false, err
		}
	}
	return true, s.Make(changes...)
}

// Exchange gives a filter of ours another program.
func Exchange(old netlink.Filter, fd int) rtnetlink.Change {
	a := old.Attrs()
	return rtnetlink.Filter{Index: a.LinkIndex, Side: a.Parent, Handle: a.Handle, Priority: a.Priority, Name: old.(*netlink.BpfFilter).Name, FD: fd}.Replace()
}

// Configure makes the qdisc of a device, unless there is one.
func (c Clsact) Configure(ifindex int) error {
	s, err := rtnetlink.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = c.configure(s, ifindex)
	return err
}

func (c Clsact) configure(s *rtnetlink.Socket, ifindex int) (made bool, err error) {
	err = s.Make(rtnetlink.Clsact(ifindex))
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.remember(ifindex)
}

// remember notes that the qdisc of a device was made here.
func (c Clsact) remember(ifindex int) error {
	if err := os.Mkdir(c.mark(ifindex), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("remember the clsact qdisc: %w", err)
	}
	return nil
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
