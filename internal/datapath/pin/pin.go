// Package pin keeps BPF links of programs on devices in files of a BPF file system, by device and program, so that they outlive the agent
// that made them, and the next one finds them.
//
// # The world it models
//
// A link holds a program on a device. Its pin, DIR/IFINDEX-PROGRAM, keeps it there without a process. When the device goes, the pin stays,
// and its link says that the device is gone.
//
// # Invariants
//
//   - A link without a pin ends with the process: what is not found again does not stay.
//   - A pin of an earlier device with the same ifindex is never taken for one of this.
//
// # Example
//
//	links := pin.Links{Dir: "/sys/fs/bpf/weft/links"}
//	done, err := links.Update("from_net", program, ifindex)
package pin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Links are those of one folder.
type Links struct{ Dir string }

// Link is one that is pinned.
type Link struct {
	Ifindex int
	Program string
	ID      ebpf.ProgramID // 0: its device is gone
}

func (s Links) path(ifindex int, program string) string {
	return filepath.Join(s.Dir, fmt.Sprintf("%d-%s", ifindex, program))
}

// Update puts a program into the link that is pinned for a device. False: there is none, or it was of an earlier device with that
// ifindex, and its pin is removed now.
func (s Links) Update(program string, p *ebpf.Program, ifindex int) (bool, error) {
	old, err := s.Open(program, ifindex)
	if old == nil || err != nil {
		return false, err
	}
	defer old.Close()
	if err := old.Update(p); err != nil {
		return false, fmt.Errorf("replace the program: %w", err)
	}
	return true, nil
}

// Open opens the link that is pinned for a device. nil: there is none, see Update.
func (s Links) Open(program string, ifindex int) (link.Link, error) {
	old, err := link.LoadPinnedLink(s.path(ifindex, program), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open its pinned link: %w", err)
	}
	if info, err := old.Info(); err == nil && isOf(info, ifindex) {
		return old, nil
	}
	defer old.Close()
	if err := old.Unpin(); err != nil {
		return nil, fmt.Errorf("remove the pin of a device that is gone: %w", err)
	}
	return nil, nil
}

// Keep pins a new link. If that fails the link ends with the process: what is not found again must not stay.
func (s Links) Keep(l link.Link, program string, ifindex int) error {
	defer l.Close()
	if err := l.Pin(s.path(ifindex, program)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
	}
	return nil
}

// Remove takes a link of a kind off a device.
func (s Links) Remove(kind link.Type, program string, ifindex int) error {
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

// Any tells whether a link of a kind is pinned for a device, of one of these programs.
func (s Links) Any(kind link.Type, ifindex int, programs ...string) bool {
	for _, program := range programs {
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

// List lists the pinned links of one kind.
func (s Links) List(kind link.Type) (list []Link, err error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no agent has ever used it
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		a := Link{}
		if n, _ := fmt.Sscanf(e.Name(), "%d-%s", &a.Ifindex, &a.Program); n != 2 || e.IsDir() {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(s.Dir, e.Name()), nil)
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
