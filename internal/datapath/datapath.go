package datapath

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/probe"
)

// Config is what one node's programs are told when they are loaded; see bpf/lib/config.h.
type Config struct {
	OverlayIfindex  uint32 // 0: native routing
	TunnelPort      uint16
	Tunnel          netip.Addr // where this node's tunnel ends
	NATPortMin      uint16
	NATPortMax      uint16
	World4          uint32
	World6          uint32
	Masquerade4     netip.Addr // zero: no masquerade
	Masquerade6     netip.Addr
	Loopback4       netip.Addr
	Loopback6       netip.Addr
	EventsPerSecond uint32            // 0: the default
	Silent          bool              // calls of services without backends are dropped without an answer
	Classic         bool              // attach by cls_bpf also where the kernel has tcx
	Entries         map[string]uint32 // sizes of maps by name, where not the default
	Lives           Lives

	atNetkit      bool   // from_pod is for netkit pairs
	callersSeed   uint32 // one for all programs
	hostConntrack bool   // programs can look into the host's connection tracking
}

// Lives say how long connections are remembered after their last packet; the second of two is for those to services.
// Zero: the default.
type Lives struct {
	TCPOpen, TCPClosing, Datagram [2]time.Duration
	TCPOpening                    time.Duration
}

// apply gives the lives to the variables of bpf/lib/config.h. One for datagrams is for those that are
// not answered, too.
func (l Lives) apply(values map[string]any) {
	pair := func(said [2]time.Duration, standard uint32) (s [2]uint32) {
		for i, d := range said {
			if s[i] = standard; d > 0 {
				s[i] = uint32(d / time.Second)
			}
		}
		return s
	}
	values["config_tcp_open"] = pair(l.TCPOpen, abi.CtTcpOpenSeconds)
	values["config_tcp_closing"] = pair(l.TCPClosing, abi.CtTcpClosingSeconds)
	values["config_datagram"] = pair(l.Datagram, abi.CtDatagramSeconds)
	values["config_datagram_new"] = pair(l.Datagram, abi.CtDatagramNewSeconds)
	values["config_tcp_opening"] = pair([2]time.Duration{l.TCPOpening}, abi.CtTcpOpeningSeconds)[0]
}

// Programs are the names of the hooks, each a program of its own.
var Programs = []string{"from_pod", "to_pod", "from_net", "to_net", "from_overlay", "to_overlay"}

var specs = map[string]func() (*ebpf.CollectionSpec, error){
	"from_pod": loadFromPod, "to_pod": loadToPod, "from_net": loadFromNet, "to_net": loadToNet,
	"from_overlay": loadFromOverlay, "to_overlay": loadToOverlay, "sweep": loadSweep,
}

// Datapath is one node's loaded program set and its maps.
type Datapath struct {
	dir      string
	programs map[string]*ebpf.Program
	maps     map[string]*ebpf.Map
	renewed  []string
	hooks    []hook // the one in use first
	config   Config

	mu     sync.Mutex
	paired *ebpf.Program // from_pod for netkit pairs; nil: no pair has needed it

	migrations []*migration
}

// Open loads the programs with this configuration and takes over, or makes, the maps pinned below dir, a directory of
// a mounted BPF file system. The entries of a pinned map of another shape are moved into a new one; Follow ends that.
func Open(dir string, config Config) (*Datapath, error) {
	if err := rlimit.RemoveMemlock(); errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("make a BPF map: %w (the agent needs capability BPF, or SYS_ADMIN, which includes it)", err)
	} else if err != nil {
		return nil, fmt.Errorf("raise the limit of locked memory, which kernels before 5.11 count BPF memory as: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, linkDir), 0o700); err != nil {
		return nil, fmt.Errorf("make pin directory: %w (is a BPF file system mounted there? mount -t bpf bpf /sys/fs/bpf)", err)
	}
	d := &Datapath{dir: dir, programs: map[string]*ebpf.Program{}, maps: map[string]*ebpf.Map{}, hooks: hooksOf(dir), config: config}
	if config.Classic || !probe.TCX() {
		slices.Reverse(d.hooks)
	}
	d.config.callersSeed = rand.Uint32()
	var err error
	if d.config.hostConntrack, err = probe.HostConntrack(); err != nil {
		return nil, err
	}
	for _, name := range append([]string{"sweep"}, Programs...) {
		p, err := d.load(name, d.config)
		if err != nil {
			d.Close()
			return nil, err
		}
		d.programs[name] = p
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

// load loads a program with its maps; those that are there already it shares.
func (d *Datapath) load(name string, config Config) (*ebpf.Program, error) {
	spec, err := specs[name]()
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", name, err)
	}
	if err := d.takeMaps(spec); err != nil {
		return nil, err
	}
	if err := config.apply(spec); err != nil {
		return nil, fmt.Errorf("configure program %s: %w", name, err)
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
			return nil, fmt.Errorf("load program %s: %w\n%+v", name, err, verifier)
		}
		return nil, fmt.Errorf("load program %s: %w", name, err)
	}
	defer collection.Close()
	for mapName := range collection.Maps {
		if strings.HasPrefix(mapName, ".") || d.maps[mapName] != nil {
			continue
		}
		d.maps[mapName] = collection.DetachMap(mapName)
	}
	return collection.DetachProgram(name), nil
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
		if m.Pinning != ebpf.PinByName {
			continue
		}
		if have := d.maps[name]; have != nil {
			m.MaxEntries = have.MaxEntries()
			continue
		}
		if n := d.config.Entries[name]; n > 0 {
			m.MaxEntries = n
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
	if d.paired != nil {
		d.paired.Close()
	}
	for _, m := range d.maps {
		m.Close()
	}
	for _, g := range d.migrations {
		g.old.Close()
	}
}

func (c Config) apply(spec *ebpf.CollectionSpec) error {
	values := map[string]any{
		"config_overlay_ifindex": c.OverlayIfindex,
		"config_tunnel_port":     c.TunnelPort,
		"config_callers_seed":    c.callersSeed,
		"config_nat_port_min":    c.NATPortMin,
		"config_nat_port_max":    c.NATPortMax,
		"config_tunnel":          mapped(c.Tunnel),
		"config_masquerade4":     mapped(c.Masquerade4),
		"config_masquerade6":     mapped(c.Masquerade6),
		"config_loopback4":       mapped(c.Loopback4),
		"config_loopback6":       mapped(c.Loopback6),
	}
	if c.atNetkit {
		values["config_at_netkit"] = uint8(1)
	}
	if c.hostConntrack {
		values["config_host_conntrack"] = uint8(1)
	}
	if c.Silent {
		values["config_reject"] = uint8(0)
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
			values[name] = shareLimit(m.MaxEntries)
		}
	}
	if m := spec.Maps["connections"]; m != nil {
		values["config_openings_limit"] = min(shareLimit(m.MaxEntries), abi.Openings)
	}
	c.Lives.apply(values)
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
