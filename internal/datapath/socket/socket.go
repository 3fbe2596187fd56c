// Package socket puts the programs of bpf/socket.c on a control group, where they lead what its processes call of services to
// backends.
//
// # The world it models
//
// A control group of version 2 has a place for each kind of call: connect, sendmsg, recvmsg, getpeername, bind, for both families. A
// program there is asked for each call of a process of the group or of one below it, in whatever network namespace it is. It is held by a
// BPF link, pinned by the program's name: it outlives the agent, and another program takes its place in one step.
//
// # Invariants
//
//   - What restores addresses is there before what translates them, and goes after it: no process hears of an address that it
//     never called.
//   - All programs are on one group. On another one they are put before they go from the former one.
//
// # Example
//
//	at := socket.At{Dir: "/sys/fs/bpf/weft/links"}
//	err := at.Attach(programs, "/sys/fs/cgroup")
package socket

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Object is the name of the object that has these programs.
const Object = "socket"

// kinds say at which calls a program is asked.
var kinds = map[string]ebpf.AttachType{
	"connect4":     ebpf.AttachCGroupInet4Connect,
	"connect6":     ebpf.AttachCGroupInet6Connect,
	"sendmsg4":     ebpf.AttachCGroupUDP4Sendmsg,
	"sendmsg6":     ebpf.AttachCGroupUDP6Sendmsg,
	"recvmsg4":     ebpf.AttachCGroupUDP4Recvmsg,
	"recvmsg6":     ebpf.AttachCGroupUDP6Recvmsg,
	"getpeername4": ebpf.AttachCgroupInet4GetPeername,
	"getpeername6": ebpf.AttachCgroupInet6GetPeername,
	"post_bind4":   ebpf.AttachCGroupInet4PostBind,
	"post_bind6":   ebpf.AttachCGroupInet6PostBind,
}

// names are those of the programs, the ones that restore addresses first.
var names = slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
	switch {
	case restores(a) == restores(b):
		return strings.Compare(a, b)
	case restores(a):
		return -1
	}
	return 1
})

func restores(name string) bool {
	return strings.HasPrefix(name, "recvmsg") || strings.HasPrefix(name, "getpeername")
}

// At is where the links are pinned.
type At struct{ Dir string }

func (at At) path(name string) string { return filepath.Join(at.Dir, "socket-"+name) }

// next is where a link is pinned that takes a former one's place.
func (at At) next(name string) string { return at.path(name) + "-next" }

// Number is that of the control group of a directory: its inode's.
func Number(cgroup string) (uint64, error) {
	var dir unix.Stat_t
	if err := unix.Stat(cgroup, &dir); err != nil {
		return 0, fmt.Errorf("control group %s: %w", cgroup, err)
	}
	return dir.Ino, nil
}

// Attach puts programs on the control group of a directory, or into the places of those that are there.
func (at At) Attach(programs map[string]*ebpf.Program, cgroup string) error {
	group, err := Number(cgroup)
	if err != nil {
		return fmt.Errorf("attach programs at sockets: %w", err)
	}
	for _, name := range names {
		if err := at.attach(name, programs[name], cgroup, group); err != nil {
			return fmt.Errorf("attach %s to control group %s: %w", name, cgroup, err)
		}
	}
	return nil
}

// attach attaches one. On another group it is there before it goes from the former one: a process below both meets it twice, and the
// second has nothing left to do.
func (at At) attach(name string, p *ebpf.Program, cgroup string, group uint64) error {
	if p == nil {
		return errors.New("it is not loaded")
	}
	old, err := link.LoadPinnedLink(at.path(name), nil)
	if err == nil {
		defer old.Close()
		if is, _, err := of(old); err == nil && is == group {
			return old.Update(p)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open its pinned link: %w", err)
	}
	l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: kinds[name], Program: p})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := remove(at.next(name)); err != nil {
		return err
	}
	if err := l.Pin(at.next(name)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
	}
	if err := os.Rename(at.next(name), at.path(name)); err != nil {
		return fmt.Errorf("put its pin in place: %w", err)
	}
	return nil
}

func remove(pin string) error {
	if err := os.Remove(pin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove a pin: %w", err)
	}
	return nil
}

// of gives the number of the control group that a link is on, 0 if that is gone, and its program.
func of(l link.Link) (group uint64, program ebpf.ProgramID, err error) {
	info, err := l.Info()
	if err != nil {
		return 0, 0, fmt.Errorf("read its link: %w", err)
	}
	if c := info.Cgroup(); c != nil {
		group = c.CgroupId
	}
	return group, info.Program, nil
}

// Detach takes the programs off their control group. What they have translated goes on: its packets are a backend's.
func (at At) Detach() error {
	var errs []error
	for _, name := range slices.Backward(names) {
		if err := errors.Join(remove(at.next(name)), remove(at.path(name))); err != nil {
			errs = append(errs, fmt.Errorf("detach %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// State is what is attached.
type State struct {
	Some    bool   // at least one program
	Group   uint64 // number of the control group that all programs are on; 0: not all, or not on one
	Current bool   // they are those that were asked about, not a predecessor's
}

// State tells what is attached, of an earlier agent, too.
func (at At) State(programs map[string]*ebpf.Program) (s State, err error) {
	s.Current = true
	for i, name := range names {
		l, err := link.LoadPinnedLink(at.path(name), nil)
		if errors.Is(err, os.ErrNotExist) {
			s.Group, s.Current = 0, false
			continue
		}
		if err != nil {
			return s, fmt.Errorf("open the pinned link of %s: %w", name, err)
		}
		group, id, err := of(l)
		l.Close()
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		s.Current = s.Current && id == idOf(programs[name])
		if i == 0 {
			s.Group = group
		} else if s.Group != group {
			s.Group = 0
		}
		s.Some = true
	}
	return s, nil
}

func idOf(p *ebpf.Program) ebpf.ProgramID {
	if p == nil {
		return 0
	}
	info, err := p.Info()
	if err != nil {
		return 0
	}
	id, _ := info.ID()
	return id
}

// Replace puts programs into the places of former ones, on whatever group these are.
func (at At) Replace(programs map[string]*ebpf.Program) error {
	for _, name := range names {
		l, err := link.LoadPinnedLink(at.path(name), nil)
		if errors.Is(err, os.ErrNotExist) || programs[name] == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
		group, _, err := of(l)
		if err == nil && group != 0 {
			err = l.Update(programs[name])
		}
		l.Close()
		if err != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
	}
	return nil
}
