package datapath

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"weftnet.io/weftnet/internal/datapath/filter"
	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/datapath/pin"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/rtnetlink"
)

// Attachment is a program on a device, as the kernel has it.
type Attachment struct {
	Ifindex int
	Program string
	By      string // tcx, cls_bpf, netkit
	ID      ebpf.ProgramID
	Current bool // it is this Datapath's program, not a predecessor's, and where this Datapath puts it
}

// hook is a way to attach programs to devices: tcx, cls_bpf, netkit. (Elsewhere a hook is a point at which a program sees packets.)
type hook interface {
	name() string
	// attach puts a program on a device, or in the place of the one of that name: no packet in between goes unseen.
	attach(program string, p *ebpf.Program, ifindex int) error
	// detach takes the program of that name off a device, and nothing else. It is no error if there is none, or no device.
	detach(program string, ifindex int) error
	// list gives what is attached this way, by any agent, without Current.
	list() ([]Attachment, error)
}

// linkDir, below the pin directory, has the pins of links, and a folder for each clsact qdisc that an agent has made.
const linkDir = "links"

func linksOf(dir string) pin.Links { return pin.Links{Dir: filepath.Join(dir, linkDir)} }

// hooksOf are the ways to attach a program to any device, the newest first. dir is the pin directory.
func hooksOf(dir string) []hook { return []hook{tcx{linksOf(dir)}, classic{dir}} }

// withNetkit adds the way to attach from_pod to a netkit pair.
func withNetkit(dir string, hooks []hook) []hook {
	return append(slices.Clone(hooks), netkit{linksOf(dir)})
}

// ways are the hooks for a program, the one to use first.
//
// A CNI ADD waits for a workload's device, so its programs are attached by cls_bpf: to attach by tcx, the kernel waits for an RCU
// grace period with the lock of all devices held (tcx_entry_sync in include/net/tcx.h), some 10 ms each. See
// docs/design/0006.
func (d *Datapath) ways(program string) []hook {
	if !object.OfWorkloads(program) {
		return d.hooks
	}
	ways := slices.Clone(d.hooks)
	slices.SortStableFunc(ways, func(a, b hook) int { return cmp.Compare(a.name(), b.name()) }) // cls_bpf, tcx
	return ways
}

// waysOn are the hooks for a program on one device. A device on which an earlier agent attached by tcx alone has no clsact qdisc, and
// would drop packets while it gets one: it keeps tcx until it is made anew, or loses its programs.
func (d *Datapath) waysOn(program string, ifindex int) ([]hook, error) {
	ways := d.ways(program)
	if ways[0].name() != (classic{}).name() || !linksOf(d.dir).Any(link.TCXType, ifindex, Programs...) {
		return ways, nil
	}
	there, err := qdiscs(d.dir).There(ifindex)
	if err == nil && !there {
		ways = slices.Clone(ways)
		slices.Reverse(ways)
	}
	return ways, err
}

// Attach puts a program on a device. If an earlier agent left one there it takes its place in one step, also when that agent attached
// it another way: no packet in between goes unseen. What is attached outlives the process.
func (d *Datapath) Attach(program string, ifindex int) error {
	d.swap.RLock() // a program that is exchanged meanwhile would stay behind on this device
	defer d.swap.RUnlock()
	p := d.programs[program]
	if p == nil {
		return fmt.Errorf("attach %s: no such program", program)
	}
	if program == "from_pod" {
		pair, err := probe.IsNetkit(ifindex)
		if err == nil && pair {
			err = d.attachAtNetkit(ifindex)
		}
		if err != nil {
			return fmt.Errorf("attach %s to device %d: %w", program, ifindex, err)
		}
		if pair {
			return nil
		}
	}
	ways, err := d.waysOn(program, ifindex)
	if err != nil {
		return fmt.Errorf("attach %s to device %d: %w", program, ifindex, err)
	}
	if err := ways[0].attach(program, p, ifindex); err != nil {
		return fmt.Errorf("attach %s to device %d: %w", program, ifindex, err)
	}
	for _, other := range ways[1:] { // while both are attached, a packet that tcx has passed or dropped does not reach cls_bpf
		if err := other.detach(program, ifindex); err != nil {
			return fmt.Errorf("detach %s of an earlier agent from device %d: %w", program, ifindex, err)
		}
	}
	return nil
}

// AttachNew puts programs on a workload's device that has none yet, all by one message: a CNI ADD waits for it. False: it has some, or it is
// done another way, and nothing is changed.
func (d *Datapath) AttachNew(ifindex int, programs ...string) (done bool, err error) {
	d.swap.RLock() // see Attach
	defer d.swap.RUnlock()
	var filters []filter.Program
	for _, name := range programs {
		p := d.programs[name]
		if p == nil || !object.OfWorkloads(name) || d.ways(name)[0].name() != (classic{}).name() {
			return false, nil
		}
		filters = append(filters, filterOf(name, p))
	}
	s, err := rtnetlink.Open()
	if err != nil {
		return false, err
	}
	defer s.Close()
	if device, err := s.DeviceAt(ifindex); err != nil || device.Kind == "netkit" || linksOf(d.dir).Any(link.TCXType, ifindex, programs...) {
		return false, err
	}
	if done, err = qdiscs(d.dir).AttachNew(s, ifindex, filters...); err != nil {
		return false, fmt.Errorf("attach %s to device %d: %w", strings.Join(programs, ", "), ifindex, err)
	}
	return done, nil
}

// attachAtNetkit attaches from_pod to a netkit pair: a program of its own, loaded when the first pair needs it.
func (d *Datapath) attachAtNetkit(ifindex int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paired == nil {
		if err := d.loadPaired(); err != nil {
			return err
		}
	}
	return netkit{linksOf(d.dir)}.attach("from_pod", d.paired, ifindex)
}

func (d *Datapath) loadPaired() error {
	config := d.config
	config.atNetkit = true
	programs, err := d.load("from_pod", config, nil)
	if err != nil {
		return err
	}
	d.paired = programs["from_pod"]
	return nil
}

// own is the program that this Datapath attaches to a device by a hook of this name; nil: it uses another one there.
func (d *Datapath) own(program, by string, ifindex int) *ebpf.Program {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch by {
	case netkit{}.name():
		return d.paired
	case d.ways(program)[0].name():
		return d.programs[program]
	case tcx{}.name():
		if ways, err := d.waysOn(program, ifindex); err == nil && ways[0].name() == by {
			return d.programs[program]
		}
	}
	return nil
}

// Detach takes a program off a device. It succeeds when the device is gone.
func (d *Datapath) Detach(program string, ifindex int) error {
	d.swap.RLock()
	defer d.swap.RUnlock()
	for _, h := range withNetkit(d.dir, d.hooks) {
		if err := h.detach(program, ifindex); err != nil {
			return fmt.Errorf("detach %s from device %d: %w", program, ifindex, err)
		}
	}
	return release(d.dir, ifindex)
}

// Attachments lists what is attached, by this agent or an earlier one.
func (d *Datapath) Attachments() ([]Attachment, error) {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.attachments()
}

func (d *Datapath) attachments() ([]Attachment, error) {
	list, err := list(withNetkit(d.dir, d.hooks))
	if err != nil {
		return nil, err
	}
	ids := map[*ebpf.Program]ebpf.ProgramID{} // few programs are attached many times
	for i, a := range list {
		own := d.own(a.Program, a.By, a.Ifindex)
		if own == nil {
			continue
		}
		if _, asked := ids[own]; !asked {
			if info, err := own.Info(); err == nil {
				ids[own], _ = info.ID()
			}
		}
		list[i].Current = ids[own] != 0 && ids[own] == a.ID
	}
	return list, nil
}

// List gives what the agents of a pin directory have attached, for a caller that has loaded nothing. Current says nothing.
func List(dir string) ([]Attachment, error) { return list(withNetkit(dir, hooksOf(dir))) }

func list(hooks []hook) (all []Attachment, err error) {
	var errs []error
	for _, h := range hooks {
		some, err := h.list()
		if err != nil {
			errs = append(errs, fmt.Errorf("list what is attached by %s: %w", h.name(), err))
		}
		all = append(all, some...)
	}
	return all, errors.Join(errs...)
}
