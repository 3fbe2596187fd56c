package process

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/sink/route"
)

// Program is an attached program and what the kernel has counted of it.
type Program struct {
	Device  string
	Name    string
	By      string // tcx, cls_bpf, netkit
	Runs    uint64
	Runtime time.Duration
}

// kept are maps whose entries come and go with what they are about. The others hold what packets have left behind.
var kept = []string{"ipcache", "prefixes", "nics", "policies", "ranges", "services", "slots", "backends"}

// kernelText lists what the kernel holds of Weftnet.
func kernelText() (string, error) {
	var lines []string
	links, err := netlink.LinkList()
	if err != nil {
		return "", fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		lines = append(lines, "device "+l.Attrs().Name)
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			return "", fmt.Errorf("list routes: %w", err)
		}
		for _, r := range routes {
			if r.Priority == route.Metric {
				lines = append(lines, fmt.Sprintf("route %s", r.Dst))
			}
		}
	}
	attached, err := programs()
	if err != nil {
		return "", err
	}
	for _, p := range attached {
		lines = append(lines, fmt.Sprintf("program %s on %s by %s", p.Name, p.Device, p.By))
	}
	for _, name := range kept {
		n, err := entries(name)
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("map %s: %d entries", name, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n", nil
}

func entries(name string) (n int, err error) {
	m, err := ebpf.LoadPinnedMap(filepath.Join(PinDir, name), nil)
	if err != nil {
		return 0, fmt.Errorf("open map %s: %w", name, err)
	}
	defer m.Close()
	key := make([]byte, m.KeySize())
	for err = m.NextKey(nil, key); err == nil; err = m.NextKey(key, key) {
		n++
	}
	if !errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, fmt.Errorf("list map %s: %w", name, err)
	}
	return n, nil
}

// programs lists what is attached.
func programs() (list []Program, err error) {
	attached, err := datapath.List(PinDir)
	if err != nil {
		return nil, fmt.Errorf("list attached programs: %w", err)
	}
	for _, a := range attached {
		p := Program{Name: a.Program, By: a.By, Device: fmt.Sprintf("device that is gone (%d)", a.Ifindex)}
		if l, err := netlink.LinkByIndex(a.Ifindex); err == nil {
			p.Device = l.Attrs().Name
		}
		if err := p.count(a.ID); err != nil {
			return nil, fmt.Errorf("read %s on %s: %w", p.Name, p.Device, err)
		}
		list = append(list, p)
	}
	return list, nil
}

func (p *Program) count(id ebpf.ProgramID) error {
	if id == 0 {
		return nil // its device is gone
	}
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return err
	}
	defer program.Close()
	stats, err := program.Stats()
	if err != nil {
		return err
	}
	p.Runs, p.Runtime = stats.RunCount, stats.Runtime
	return nil
}
