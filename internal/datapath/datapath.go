package datapath

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// Config is what one node's programs are told when they are loaded; see bpf/lib/config.h.
type Config struct {
	OverlayIfindex  uint32 // 0: native routing
	TunnelPort      uint16
	NATPortMin      uint16
	NATPortMax      uint16
	World4          uint32
	World6          uint32
	Masquerade4     netip.Addr // zero: no masquerade
	Masquerade6     netip.Addr
	Loopback4       netip.Addr
	Loopback6       netip.Addr
	EventsPerSecond uint32            // 0: the default
	Entries         map[string]uint32 // sizes of maps by name, where not the default
}

// Programs are the names of the hooks, each a program of its own.
var Programs = []string{"from_pod", "to_pod", "from_net", "to_net", "from_overlay", "to_overlay"}

var specs = map[string]func() (*ebpf.CollectionSpec, error){
	"from_pod": loadFromPod, "to_pod": loadToPod, "from_net": loadFromNet, "to_net": loadToNet,
	"from_overlay": loadFromOverlay, "to_overlay": loadToOverlay, "sweep": loadSweep,
}

// attachPoint says on which side of a device a program sits.
var attachPoint = map[string]ebpf.AttachType{
	"from_pod": ebpf.AttachTCXIngress, "to_pod": ebpf.AttachTCXEgress,
	"from_net": ebpf.AttachTCXIngress, "to_net": ebpf.AttachTCXEgress,
	"from_overlay": ebpf.AttachTCXIngress, "to_overlay": ebpf.AttachTCXEgress,
}

// Datapath is one node's loaded program set and its maps.
type Datapath struct {
	dir      string
	programs map[string]*ebpf.Program
	maps     map[string]*ebpf.Map
	renewed  []string

	migrations []*migration
}

// Open loads the programs with this configuration and takes over, or makes, the maps pinned below dir, a directory of
// a mounted BPF file system. The entries of a pinned map of another shape are moved into a new one; Follow ends that.
func Open(dir string, config Config) (*Datapath, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("raise the limit of locked memory, which kernels before 5.11 count BPF memory as: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "links"), 0o700); err != nil {
		return nil, fmt.Errorf("make pin directory: %w (is a BPF file system mounted there? mount -t bpf bpf /sys/fs/bpf)", err)
	}
	d := &Datapath{dir: dir, programs: map[string]*ebpf.Program{}, maps: map[string]*ebpf.Map{}}
	for _, name := range append([]string{"sweep"}, Programs...) {
		if err := d.load(name, config); err != nil {
			d.Close()
			return nil, err
		}
	}
	if err := d.pruneLayouts(); err != nil {
		d.Close()
		return nil, err
	}
	if err := d.recount(); err != nil {
		d.Close()
		return nil, fmt.Errorf("count what each workload holds: %w", err)
	}
	return d, nil
}

func (d *Datapath) load(name string, config Config) error {
	spec, err := specs[name]()
	if err != nil {
		return fmt.Errorf("read program %s: %w", name, err)
	}
	if err := config.apply(spec); err != nil {
		return fmt.Errorf("configure program %s: %w", name, err)
	}
	if err := d.takeMaps(spec); err != nil {
		return err
	}
	options := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: d.dir}, MapReplacements: map[string]*ebpf.Map{}}
	for pinned, m := range d.maps {
		if _, used := spec.Maps[pinned]; used {
			options.MapReplacements[pinned] = m
		}
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, options)
	if err != nil {
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			return fmt.Errorf("load program %s: %w\n%+v", name, err, verifier)
		}
		return fmt.Errorf("load program %s: %w", name, err)
	}
	defer collection.Close()
	d.programs[name] = collection.DetachProgram(name)
	for mapName := range collection.Maps {
		if strings.HasPrefix(mapName, ".") || d.maps[mapName] != nil {
			continue
		}
		d.maps[mapName] = collection.DetachMap(mapName)
	}
	return nil
}

// takeMaps opens or makes the pinned maps of this program that no earlier one has brought.
func (d *Datapath) takeMaps(spec *ebpf.CollectionSpec) error {
	list, known, err := openLayouts(d.dir)
	if err != nil {
		return err
	}
	defer list.Close()
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		m := spec.Maps[name]
		if m.Pinning != ebpf.PinByName || d.maps[name] != nil {
			continue
		}
		if err := d.take(name, m, known); err != nil {
			return err
		}
	}
	return writeLayouts(list, known)
}

// Renewed names the maps that begin empty since what an earlier agent left cannot be moved into them.
func (d *Datapath) Renewed() []string { return d.renewed }

// Program is a loaded program by name.
func (d *Datapath) Program(name string) *ebpf.Program { return d.programs[name] }

// Map is a pinned map by its name in bpf/lib/maps.h; nil when there is none of that name.
func (d *Datapath) Map(name string) *ebpf.Map { return d.maps[name] }

// Close lets go of programs and maps; what is pinned stays.
func (d *Datapath) Close() {
	for _, p := range d.programs {
		p.Close()
	}
	for _, m := range d.maps {
		m.Close()
	}
	for _, g := range d.migrations {
		g.old.Close()
	}
}

func (c Config) apply(spec *ebpf.CollectionSpec) error {
	for name, entries := range c.Entries {
		if m := spec.Maps[name]; m != nil && entries > 0 {
			m.MaxEntries = entries
		}
	}
	values := map[string]any{
		"config_overlay_ifindex": c.OverlayIfindex,
		"config_tunnel_port":     c.TunnelPort,
		"config_nat_port_min":    c.NATPortMin,
		"config_nat_port_max":    c.NATPortMax,
		"config_masquerade4":     mapped(c.Masquerade4),
		"config_masquerade6":     mapped(c.Masquerade6),
		"config_loopback4":       mapped(c.Loopback4),
		"config_loopback6":       mapped(c.Loopback6),
	}
	if c.World4 != 0 {
		values["config_world4"] = c.World4
	}
	if c.World6 != 0 {
		values["config_world6"] = c.World6
	}
	if c.EventsPerSecond != 0 {
		values["config_events_per_second"] = c.EventsPerSecond
	}
	for name, limited := range map[string]string{
		"config_connections_limit": "connections", "config_translations_limit": "translations", "config_fragments_limit": "fragments",
	} {
		if m := spec.Maps[limited]; m != nil {
			values[name] = m.MaxEntries / 4
		}
	}
	for name, value := range values {
		v := spec.Variables[name]
		if v == nil {
			continue // this program does not ask for it
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// mapped is an address as the kernel side keeps it: 16 bytes, IPv4 mapped, zero for none.
func mapped(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}

// Attachment is a program on a device, as the kernel has it.
type Attachment struct {
	Ifindex int
	Program string
	Current bool // it is this Datapath's program, not a predecessor's
}

func (d *Datapath) pin(ifindex int, program string) string {
	return filepath.Join(d.dir, "links", fmt.Sprintf("%d-%s", ifindex, program))
}

// Attach puts a program on a device, or updates the one that an earlier agent left there in place: no packet in
// between goes unseen. The attachment outlives the process.
func (d *Datapath) Attach(program string, ifindex int) error {
	p := d.programs[program]
	if p == nil {
		return fmt.Errorf("attach %s: no such program", program)
	}
	path := d.pin(ifindex, program)
	if old, err := link.LoadPinnedLink(path, nil); err == nil {
		defer old.Close()
		if linkIfindex(old) == ifindex {
			if err := old.Update(p); err != nil {
				return fmt.Errorf("replace %s on device %d: %w", program, ifindex, err)
			}
			return nil
		}
		if err := old.Unpin(); err != nil { // its device is gone and the number was given again
			return fmt.Errorf("drop stale %s of device %d: %w", program, ifindex, err)
		}
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: p, Attach: attachPoint[program]})
	if err != nil {
		return fmt.Errorf("attach %s to device %d: %w", program, ifindex, err)
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin %s of device %d: %w", program, ifindex, err)
	}
	return nil
}

// Detach takes a program off a device. It succeeds when the device is gone.
func (d *Datapath) Detach(program string, ifindex int) error {
	path := d.pin(ifindex, program)
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s of device %d: %w", program, ifindex, err)
	}
	defer l.Close()
	if err := l.Unpin(); err != nil {
		return fmt.Errorf("unpin %s of device %d: %w", program, ifindex, err)
	}
	return nil
}

// Attachments lists what is pinned, whoever attached it.
func (d *Datapath) Attachments() ([]Attachment, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "links"))
	if err != nil {
		return nil, fmt.Errorf("list attachments: %w", err)
	}
	var list []Attachment
	for _, e := range entries {
		var a Attachment
		if n, _ := fmt.Sscanf(e.Name(), "%d-%s", &a.Ifindex, &a.Program); n != 2 {
			continue
		}
		l, err := link.LoadPinnedLink(filepath.Join(d.dir, "links", e.Name()), nil)
		if err != nil {
			continue
		}
		info, err := l.Info()
		l.Close()
		if err != nil {
			continue
		}
		if own := d.programs[a.Program]; own != nil {
			if current, err := own.Info(); err == nil {
				id, _ := current.ID()
				a.Current = id == info.Program && tcxIfindex(info) == a.Ifindex
			}
		}
		list = append(list, a)
	}
	return list, nil
}

func linkIfindex(l link.Link) int {
	info, err := l.Info()
	if err != nil {
		return 0
	}
	return tcxIfindex(info)
}

func tcxIfindex(info *link.Info) int {
	if tcx := info.TCX(); tcx != nil {
		return int(tcx.Ifindex)
	}
	return 0
}
