package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// linkDir, below the pin directory, has the pins of links, and a folder for each clsact qdisc that an agent has made.
const linkDir = "links"

// pins are BPF links pinned by device and program. When a device goes the pin stays, and its link says that the device is gone.
type pins struct{ dir string }

func (s pins) path(ifindex int, program string) string {
	return filepath.Join(s.dir, linkDir, fmt.Sprintf("%d-%s", ifindex, program))
}

// update puts a program into the link that is pinned for a device. False: there is none, or it was of an earlier device with that
// ifindex, and its pin is removed now.
func (s pins) update(program string, p *ebpf.Program, ifindex int) (bool, error) {
	old, err := link.LoadPinnedLink(s.path(ifindex, program), nil)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open its pinned link: %w", err)
	}
	defer old.Close()
	if info, err := old.Info(); err == nil && isOf(info, ifindex) {
		if err := old.Update(p); err != nil {
			return false, fmt.Errorf("replace the program: %w", err)
		}
		return true, nil
	}
	if err := old.Unpin(); err != nil {
		return false, fmt.Errorf("remove the pin of a device that is gone: %w", err)
	}
	return false, nil
}

// keep pins a new link. If that fails the link ends with the process: what is not found again must not stay.
func (s pins) keep(l link.Link, program string, ifindex int) error {
	defer l.Close()
	if err := l.Pin(s.path(ifindex, program)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
	}
	return nil
}

// remove takes a link of a kind off a device.
func (s pins) remove(kind link.Type, program string, ifindex int) error {
	l, err := link.LoadPinnedLink(s.path(ifindex, program), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open its pinned link: %w", err)
	}
	defer l.Close()
	if info, err := l.Info(); err == nil && info.Type != kind {
		return nil
	}
	if err := l.Unpin(); err != nil {
		return fmt.Errorf("remove the pin of its link: %w", err)
	}
	return nil
}

// any tells whether a link of a kind is pinned for a device.
func (s pins) any(kind link.Type, ifindex int) bool {
	for _, program := range Programs {
		l, err := link.LoadPinnedLink(s.path(ifindex, program), nil)
		if err != nil {
			continue
		}
		info, err := l.Info()
		l.Close()
		if err == nil && info.Type == kind && isOf(info, ifindex) {
			return true
		}
	}
	return false
}

// links lists the pinned links of one kind.
func (s pins) links(kind link.Type, by string) (list []Attachment, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, linkDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no agent has ever used it
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		a := Attachment{By: by}
		if n, _ := fmt.Sscanf(e.Name(), "%d-%s", &a.Ifindex, &a.Program); n != 2 || e.IsDir() {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(s.dir, linkDir, e.Name()), nil)
		if err != nil {
			continue // unpinned a moment ago
		}
		info, err := l.Info()
		l.Close()
		if err != nil || info.Type != kind {
			continue
		}
		if a.ID = info.Program; !isOf(info, a.Ifindex) {
			a.ID = 0 // its device is gone
		}
		list = append(list, a)
	}
	return list, nil
}

// isOf tells whether a pinned link is on the device of this ifindex, and not left from an earlier device that had it.
func isOf(info *link.Info, ifindex int) bool {
	if i := info.TCX(); i != nil {
		return int(i.Ifindex) == ifindex
	}
	i := info.Netkit() // its ifindex is that of the workload's side, in another namespace; 0 once the pair is gone
	return i != nil && i.Ifindex != 0
}
