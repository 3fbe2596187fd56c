// Package xdp puts the program of bpf/xdp.c on devices, where it sees frames before the kernel makes packets of them.
//
// # The world it models
//
// A device has one place for a program of XDP. Native, the driver runs it, before there is a packet; generic, the kernel does, for any
// device, when the packet is there: slower than tc, and good for tests. The program is held by a BPF link, pinned by the device: it
// outlives the agent, and another program takes its place in one step. What it does not send on goes to tc as if it was not there, so it
// may be absent from any device at any time.
//
// # Invariants
//
//   - It is on no device that would lose what it sends: an UnfitError says why.
//   - A program of others on a device is left alone.
//
// # Example
//
//	at := xdp.At{Dir: "/sys/fs/bpf/weft/links"}
//	err := at.Attach(program, ifindex, false)
//	var unfit *xdp.UnfitError // calls go on by tc
//	errors.As(err, &unfit)
package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// At is where the links are pinned.
type At struct {
	Dir   string
	Pairs *ebpf.Map // of the program, which sends to veth pairs that are here, by ifindex, and turns back on other devices; nil: it has none
}

// Attachment is a program of an agent on a device.
type Attachment struct {
	Ifindex int            // of a device that may be gone
	ID      ebpf.ProgramID // 0: it is gone
	Generic bool
	Current bool  // it is the program that was asked about, not a predecessor
	Unfit   error // why it would not be put there any more; nil: it would
}

const suffix = "-xdp"

func (at At) path(ifindex int) string { return filepath.Join(at.Dir, fmt.Sprint(ifindex)+suffix) }

// Attach puts the program on a device, native or generic, or in the place of the one that is there: no frame in between goes another
// way, unless the mode changes. The error is an *UnfitError where the device cannot have it: then it is not there any more, either.
func (at At) Attach(p *ebpf.Program, ifindex int, generic bool) error {
	device, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return fmt.Errorf("find device %d: %w", ifindex, err)
	}
	if why := unfit(device, generic); why != nil {
		return errors.Join(at.Detach(ifindex), why)
	}
	if device.Type() == "veth" {
		if err := at.pair(device); err != nil {
			return err
		}
	}
	if done, err := at.update(p, device, generic); done || err != nil {
		return err
	}
	flags := link.XDPDriverMode
	if generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: flags})
	if err != nil {
		return refusal(device, err)
	}
	defer l.Close()
	if err := l.Pin(at.path(ifindex)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
	}
	return nil
}

// pair notes that a device is one end of a veth pair.
func (at At) pair(device netlink.Link) error {
	if at.Pairs == nil {
		return nil
	}
	ifindex := device.Attrs().Index
	err := at.Pairs.Put(uint32(ifindex), uint32(ifindex))
	if errors.Is(err, unix.E2BIG) {
		return errors.Join(at.Detach(ifindex), &UnfitError{device.Attrs().Name, fmt.Sprintf("as many veth pairs have the program as there may be: %d", at.Pairs.MaxEntries())})
	}
	if err != nil {
		return fmt.Errorf("note in map pairs that device %s is one end of a veth pair: %w", device.Attrs().Name, err)
	}
	return nil
}

// update puts the program into the link that is pinned for a device. False: there is none in this mode, and no pin any more.
func (at At) update(p *ebpf.Program, device netlink.Link, generic bool) (bool, error) {
	old, err := link.LoadPinnedLink(at.path(device.Attrs().Index), nil)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open its pinned link: %w", err)
	}
	defer old.Close()
	if info, err := old.Info(); err == nil && isOf(info, device.Attrs().Index) && isGeneric(device) == generic {
		if err := old.Update(p); err != nil {
			return false, fmt.Errorf("replace the program: %w", err)
		}
		return true, nil
	}
	return false, take(old)
}

// take takes a link off its device at once: to remove its pin alone would leave it there for a moment, in the way of the next.
func take(l link.Link) error {
	if err := errors.Join(l.Detach(), l.Unpin()); err != nil {
		return fmt.Errorf("remove its link: %w", err)
	}
	return nil
}

// isOf tells whether a pinned link is on the device of this ifindex, and not left from an earlier device that had it.
func isOf(info *link.Info, ifindex int) bool {
	i := info.XDP()
	return i != nil && int(i.Ifindex) == ifindex
}

func isGeneric(device netlink.Link) bool {
	x := device.Attrs().Xdp
	return x != nil && x.Attached && x.AttachMode == attachedGeneric
}

// Detach takes the program off a device. It is no error if there is none, or no device.
func (at At) Detach(ifindex int) error {
	l, err := link.LoadPinnedLink(at.path(ifindex), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open its pinned link: %w", err)
	}
	defer l.Close()
	if err := take(l); err != nil || at.Pairs == nil {
		return err
	}
	if err := at.Pairs.Delete(uint32(ifindex)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("take device %d out of map pairs: %w", ifindex, err)
	}
	return nil
}

// List gives what is attached, of any agent; current is this one's program, or nil.
func (at At) List(current *ebpf.Program) (list []Attachment, err error) {
	var own ebpf.ProgramID
	if current != nil {
		info, err := current.Info()
		if err != nil {
			return nil, fmt.Errorf("list links of XDP: %w", err)
		}
		own, _ = info.ID()
	}
	entries, err := os.ReadDir(at.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list links of XDP: %w", err)
	}
	for _, e := range entries {
		var a Attachment
		name, is := strings.CutSuffix(e.Name(), suffix)
		if n, _ := fmt.Sscan(name, &a.Ifindex); !is || n != 1 {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(at.Dir, e.Name()), nil)
		if err != nil {
			continue // unpinned a moment ago
		}
		info, err := l.Info()
		l.Close()
		if err != nil || info.Type != link.XDPType {
			continue
		}
		if device, err := netlink.LinkByIndex(a.Ifindex); err == nil && isOf(info, a.Ifindex) {
			a.ID, a.Current, a.Generic = info.Program, info.Program == own, isGeneric(device)
			a.Unfit = unfit(device, a.Generic)
		}
		list = append(list, a)
	}
	return list, nil
}

// Replace puts the program into the places of former ones, or takes it off devices that are unfit by now.
func (at At) Replace(p *ebpf.Program) error {
	list, err := at.List(nil)
	errs := []error{err}
	for _, a := range list {
		if a.ID == 0 {
			continue // its device is gone
		}
		var unfit *UnfitError
		if err := at.Attach(p, a.Ifindex, a.Generic); err != nil && !errors.As(err, &unfit) {
			errs = append(errs, fmt.Errorf("replace xdp on device %d: %w", a.Ifindex, err))
		}
	}
	return errors.Join(errs...)
}

// DetachAll takes the program off all devices, and tells of how many.
func (at At) DetachAll() (int, error) {
	list, err := at.List(nil)
	errs := []error{err}
	for _, a := range list {
		errs = append(errs, at.Detach(a.Ifindex))
	}
	return len(list), errors.Join(errs...)
}

// refusal explains why the kernel refused the program.
func refusal(device netlink.Link, err error) error {
	name := device.Attrs().Name
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return &UnfitError{name, "another program of XDP is on it" + other(device) + ", which is left alone"}
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ERANGE), errors.Is(err, unix.ENOSPC):
		return &UnfitError{name, "its driver refuses a program of XDP: " + err.Error()}
	}
	return fmt.Errorf("attach xdp: %w", err)
}

// other names the program that is on a device.
func other(device netlink.Link) string {
	now, err := netlink.LinkByIndex(device.Attrs().Index)
	if err != nil || now.Attrs().Xdp == nil || now.Attrs().Xdp.ProgId == 0 {
		return ""
	}
	id := now.Attrs().Xdp.ProgId
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return fmt.Sprintf(" (id %d)", id)
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		return fmt.Sprintf(" (%s, id %d)", info.Name, id)
	}
	return fmt.Sprintf(" (id %d)", id)
}
