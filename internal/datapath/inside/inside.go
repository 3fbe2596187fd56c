// Package inside puts programs on a NIC that lies in a workload's network namespace, and has no side on the node.
//
// # The world it models
//
// The programs see what the workload sends and gets, seen from the workload: what it sends leaves the device (egress). By a tcx link
// (Linux 6.6) they stay whatever a process with NET_ADMIN in that namespace does: the link is pinned here, and goes with the device alone. By
// a cls_bpf filter, where there is no tcx, such a process can take them away. Then it sends what no uplink takes: frames without a sign.
//
// # Invariants
//
//   - A NIC is known by the number that the agent gave it, not by an index: a workload may move its device into a namespace of its own, with
//     an index of its choice.
//   - The programs are the first of their side. What comes after them in the workload's namespace may change a packet; it is judged at the
//     uplink.
//
// # Example
//
//	err := datapath.Inside.Attach(inside.Place{Number: 0xc0000001, Netns: "/proc/4711/ns/net", Interface: "net1"}, config)
package inside

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/internal/datapath/filter"
)

// Programs are the two of a NIC.
var Programs = []string{"from_nic", "to_nic"}

// Place is where a NIC is.
type Place struct {
	Number    uint32 // key of table nics
	Netns     string // path
	Interface string
	MAC       string // another device of that name is not it
}

const prefix = "inside-"

func pin(dir string, number uint32, program string) string {
	return filepath.Join(dir, fmt.Sprintf("%s%d-%s", prefix, number, program))
}

// attach puts programs on a NIC, or in the place of those that are there: no frame in between goes unseen. dir is where links are pinned.
func attach(dir string, at Place, programs map[string]*ebpf.Program, tcx bool) error {
	there, err := ns.GetNS(at.Netns)
	if err != nil {
		return fmt.Errorf("enter the workload's network namespace %s: %w", at.Netns, err)
	}
	defer there.Close()
	return there.Do(func(ns.NetNS) error {
		for _, name := range Programs {
			if tcx {
				if done, err := update(dir, at, name, programs[name]); done || err != nil {
					if err != nil {
						return err
					}
					continue
				}
			}
			device, err := netlink.LinkByName(at.Interface)
			if err != nil {
				return fmt.Errorf("find %s in network namespace %s: %w", at.Interface, at.Netns, err)
			}
			if have := device.Attrs().HardwareAddr.String(); at.MAC != "" && have != at.MAC {
				return fmt.Errorf("%s in network namespace %s has MAC address %s, and was made with %s: the workload has changed it, or it is another device", at.Interface, at.Netns, have, at.MAC)
			}
			index := device.Attrs().Index
			if tcx {
				err = attachTCX(dir, at, name, programs[name], index)
			} else {
				err = attachFilter(name, programs[name], index)
			}
			if err != nil {
				return fmt.Errorf("attach %s to %s in network namespace %s: %w", name, at.Interface, at.Netns, err)
			}
		}
		return nil
	})
}

// update replaces the program of a link that is there, wherever the workload has moved its device.
func update(dir string, at Place, name string, p *ebpf.Program) (bool, error) {
	old, err := link.LoadPinnedLink(pin(dir, at.Number, name), nil)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the pinned link of %s: %w", name, err)
	}
	defer old.Close()
	if info, err := old.Info(); err == nil && alive(info) {
		if err := old.Update(p); err != nil {
			return false, fmt.Errorf("replace %s of %s: %w", name, at.Interface, err)
		}
		return true, nil
	}
	if err := old.Unpin(); err != nil {
		return false, fmt.Errorf("remove the pin of a NIC that is gone: %w", err)
	}
	return false, nil
}

// alive tells whether the device of a link is there: the kernel says no index of one that is not.
func alive(info *link.Info) bool {
	i := info.TCX()
	return i != nil && i.Ifindex != 0
}

// sends tells of a program whether it sees what the workload sends.
func sends(program string) bool { return strings.HasPrefix(program, "from_") }

func attachTCX(dir string, at Place, name string, p *ebpf.Program, index int) error {
	side := ebpf.AttachTCXIngress
	if sends(name) {
		side = ebpf.AttachTCXEgress
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: index, Program: p, Attach: side, Anchor: link.Head()})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(pin(dir, at.Number, name)); err != nil {
		return fmt.Errorf("pin its link: %w", err)
	}
	return nil
}

func attachFilter(name string, p *ebpf.Program, index int) error {
	err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make clsact qdisc: %w", err)
	}
	parent := uint32(netlink.HANDLE_MIN_INGRESS)
	if sends(name) {
		parent = netlink.HANDLE_MIN_EGRESS
	}
	return netlink.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: parent, Handle: filter.HandleOf(true), Protocol: unix.ETH_P_ALL, Priority: 1},
		Fd:          p.FD(), Name: filter.Prefix + name, DirectAction: true,
	})
}

// detach lets go of a NIC's links: without a pin they end. Filters go with their device.
func detach(dir string, number uint32) error {
	for _, name := range Programs {
		if err := os.Remove(pin(dir, number, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the pin of %s: %w", name, err)
		}
	}
	return nil
}

// linked lists the numbers of NICs whose programs are linked, of any agent.
func linked(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var numbers []uint32
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), prefix)
		text, sends := strings.CutSuffix(text, "-"+Programs[0])
		if n, err := strconv.ParseUint(text, 10, 32); ok && sends && err == nil {
			numbers = append(numbers, uint32(n))
		}
	}
	return numbers, nil
}
