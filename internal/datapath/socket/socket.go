// Package socket puts the programs of bpf/socket.c on a control group, where they lead what its processes call of services to
// backends.
//
// # The world it models
//
// A control group of version 2 has a place for each kind of call: connect, sendmsg, recvmsg, getpeername, for both families. A
// program there is asked for each call of a process of the group or of one below it, in whatever network namespace it is. It is held by a
// BPF link, pinned by the program's name: it outlives the agent, and another program takes its place in one step.
//
// # Invariants
//
//   - What restores addresses is there before what translates them, and goes after it: no process hears of an address that it
//     never called.
//   - All programs are on one group. On another one they are put anew.
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

// Attach puts programs on the control group of a directory, or into the places of those that are there.
func (at At) Attach(programs map[string]*ebpf.Program, cgroup string) error {
	var dir unix.Stat_t
	if err := unix.Stat(cgroup, &dir); err != nil {
		return fmt.Errorf("attach programs at sockets to control group %s: %w", cgroup, err)
	}
	for _, name := range names {
		if err := at.attach(name, programs[name], cgroup, dir.Ino); err != nil {
			return fmt.Errorf("attach %s to control group %s: %w", name, cgroup, err)
		}
	}
	return nil
}

// attach attaches one. The inode of a group's directory is the group's number.
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
		if err := old.Unpin(); err != nil {
			return fmt.Errorf("remove the pin of another group's link: %w", err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open its pinned link: %w", err)
	}
	l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: kinds[name], Program: p})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(at.path(name)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
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
		if err := os.Remove(at.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("detach %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Group is the number of the control group that all programs are on, 0 if there is none; current says whether they are these ones,
// and not a predecessor's.
func (at At) Group(programs map[string]*ebpf.Program) (group uint64, current bool, err error) {
	current = true
	for i, name := range names {
		l, err := link.LoadPinnedLink(at.path(name), nil)
		if errors.Is(err, os.ErrNotExist) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, fmt.Errorf("open the pinned link of %s: %w", name, err)
		}
		is, id, err := of(l)
		l.Close()
		if err != nil {
			return 0, false, fmt.Errorf("%s: %w", name, err)
		}
		if is == 0 || i > 0 && is != group {
			return 0, false, nil
		}
		group = is
		current = current && id == idOf(programs[name])
	}
	return group, current, nil
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

// Root finds where control groups of version 2 are mounted, of the directories that are usual: alone, or beside those of version 1.
func Root(host string) (string, error) {
	var tried []string
	for _, dir := range []string{"/run/cilium/cgroupv2", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		dir = filepath.Join(host, dir)
		if unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
		tried = append(tried, dir)
	}
	return "", fmt.Errorf("no control groups of version 2 are mounted at %s", strings.Join(tried, ", "))
}
