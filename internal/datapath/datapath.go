package datapath

import (
	"cmp"
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

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/datapath/inside"
	"weftnet.io/weftnet/internal/datapath/layout"
	"weftnet.io/weftnet/internal/datapath/object"
	"weftnet.io/weftnet/internal/datapath/probe"
	"weftnet.io/weftnet/internal/datapath/socket"
	"weftnet.io/weftnet/internal/datapath/sweep"
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
	Constants       map[string]any    // of features, by the variable of programs that has them

	atNetkit      bool   // from_pod is for netkit pairs
	callersSeed   uint32 // one for all programs
	hostNetns     uint64 // cookie of this network namespace
	hostConntrack bool   // programs can look into the host's connection tracking
	sockets       bool   // programs at sockets are loaded, too: AttachSockets was called
}

// Programs are the names of the programs that stand on devices.
var Programs = object.OnDevices()

// Datapath is one node's loaded program set and its maps.
type Datapath struct {
	dir      string
	programs map[string]*ebpf.Program
	maps     map[string]*ebpf.Map
	renewed  []string
	kept     map[string]string // by map that has another size than is asked for: why
	hooks    []hook            // the one in use first
	Inside   *inside.NICs      // in workloads' namespaces
	config   Config

	loading sync.Mutex   // taken before the others; programs are loaded by one at a time
	swap    sync.RWMutex // what stands above, and paired, is exchanged as one by Reload; migrations and lost, too
	writing sync.RWMutex // taken before swap; held by Reload while it copies maps, so that no entry is written meanwhile

	sweeping sync.Mutex     // one at a time
	Progress sweep.Progress // of connections that go on

	mu     sync.Mutex
	paired *ebpf.Program // from_pod for netkit pairs; nil: no pair has needed it

	following sync.Mutex // held by Follow; Close waits for it
	closed    bool

	migrations []*migration
	unpinned   []string      // maps that were made and that settle will pin
	unread     []*migration  // from maps whose shape is not known; settle removes them
	moves      chan struct{} // gets a value when migrations begin
	lost       map[string]int
}

// Open loads the programs with this configuration and takes over, or makes, the maps pinned below dir, a directory of
// a mounted BPF file system. The entries of a pinned map of another shape are moved into a new one: call Follow until that is done.
func Open(dir string, config Config) (*Datapath, error) {
	if err := rlimit.RemoveMemlock(); errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("make a BPF map: %w (the agent needs capability BPF, or SYS_ADMIN, which includes it)", err)
	} else if err != nil {
		return nil, fmt.Errorf("raise the limit of locked memory, by which kernels before 5.11 bound BPF memory: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, linkDir), 0o700); err != nil {
		return nil, fmt.Errorf("make pin directory: %w (is a BPF file system mounted there? mount -t bpf bpf /sys/fs/bpf)", err)
	}
	var err error
	config.callersSeed = rand.Uint32()
	if config.hostNetns, err = probe.NetnsCookie(); err != nil {
		return nil, err
	}
	types := btf.NewCache()
	if config.hostConntrack, err = probe.HostConntrack(types); err != nil {
		return nil, err
	}
	d := newDatapath(dir, config)
	if err = d.loadAll(types); err == nil {
		err = d.settle()
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	d.tellMoves()
	if err := sweep.Recount(d.maps); err != nil {
		d.Close()
		return nil, fmt.Errorf("count what each workload holds: %w", err)
	}
	return d, nil
}

// newDatapath has no programs and maps yet.
func newDatapath(dir string, config Config) *Datapath {
	d := &Datapath{
		dir: dir, programs: map[string]*ebpf.Program{}, maps: map[string]*ebpf.Map{}, kept: map[string]string{}, hooks: hooksOf(dir), config: config,
		moves: make(chan struct{}, 1), lost: map[string]int{},
	}
	if config.Classic || !probe.TCX() {
		slices.Reverse(d.hooks)
	}
	d.Inside = inside.New(filepath.Join(dir, linkDir), d.loadInside)
	return d
}

// loadInside loads one of the programs of a NIC.
func (d *Datapath) loadInside(program string, nic abi.NicConfig) (map[string]*ebpf.Program, bool, error) {
	d.swap.RLock()
	defer d.swap.RUnlock()
	config := d.config
	config.Constants = maps.Collect(maps.All(config.Constants))
	config.Constants["inside"] = nic
	programs, err := d.load(program, config, nil)
	return programs, d.hooks[0].name() == tcx{}.name(), err
}

func (d *Datapath) loadAll(types *btf.Cache) error {
	for _, object := range object.Names() {
		if object == socket.Object && !d.config.sockets {
			continue
		}
		programs, err := d.load(object, d.config, types)
		if err != nil {
			return err
		}
		maps.Copy(d.programs, programs)
	}
	return nil
}

// load loads an object: its programs, by their names, and those of its maps that no earlier object has brought. types may be nil.
func (d *Datapath) load(name string, config Config, types *btf.Cache) (map[string]*ebpf.Program, error) {
	spec, err := object.Spec(name)
	if err != nil {
		return nil, err
	}
	if err := d.takeMaps(spec); err != nil {
		return nil, err
	}
	if err := config.apply(spec); err != nil {
		return nil, fmt.Errorf("configure program %s: %w", name, err)
	}
	options := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: d.dir}, MapReplacements: map[string]*ebpf.Map{}, Cache: types}
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
	programs := collection.Programs
	collection.Programs = nil // they outlive it
	return programs, nil
}

// takeMaps opens or makes the pinned maps of this object that no earlier one has brought.
func (d *Datapath) takeMaps(spec *ebpf.CollectionSpec) error {
	list, known, err := layout.OpenList(d.dir)
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
	return list.Write(known)
}

// Renewed names the maps that begin empty since what an earlier agent left cannot be moved into them.
func (d *Datapath) Renewed() []string { return d.renewed }

// Program is a loaded program by name.
func (d *Datapath) Program(name string) *ebpf.Program {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.programs[name]
}

// Map is a pinned map by its name in bpf/lib/abi; nil: none. Do not keep one with a configured size: after Reload it may be another.
func (d *Datapath) Map(name string) *ebpf.Map {
	d.swap.RLock()
	defer d.swap.RUnlock()
	return d.maps[name]
}

// Sweep takes finished entries out of the maps that all pods share, and has the kernel tell of connections as Progress says; see sweep.Run.
func (d *Datapath) Sweep() ([]sweep.Swept, map[uint32]abi.Quota, error) {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.swap.RLock()
	defer d.swap.RUnlock()
	return sweep.Run(d.maps, d.programs["sweep"], &d.Progress)
}

// Mark sets flags of connections, or counts them, as `what` says, and tells of how many; see sweep.Mark.
func (d *Datapath) Mark(what abi.SweepWhat, keys ...abi.CtKey) (int, error) {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	d.swap.RLock()
	defer d.swap.RUnlock()
	return sweep.Mark(d.maps, d.programs["sweep"], what, keys)
}

// Close lets go of programs and maps; what is pinned stays.
func (d *Datapath) Close() {
	d.following.Lock()
	defer d.following.Unlock()
	d.closed = true
	for _, p := range d.programs {
		p.Close()
	}
	if d.paired != nil {
		d.paired.Close()
	}
	for _, m := range d.maps {
		m.Close()
	}
	for _, g := range slices.Concat(d.migrations, d.unread) {
		g.close()
	}
}

// apply sets the variables of an object that is to be loaded; what the configuration does not say keeps the default of bpf/lib/config.h.
func (c Config) apply(spec *ebpf.CollectionSpec) error {
	for name, value := range c.Constants {
		if v := spec.Variables[name]; v != nil {
			if err := v.Set(value); err != nil {
				return fmt.Errorf("set its variable %s: %w", name, err)
			}
		}
	}
	if v := spec.Variables["host_netns"]; v != nil {
		if err := v.Set(c.hostNetns); err != nil {
			return fmt.Errorf("set its variable host_netns: %w", err)
		}
	}
	variable := spec.Variables["config"]
	if variable == nil {
		return nil // this object does not read it
	}
	var n abi.NodeConfig
	if err := variable.Get(&n); err != nil {
		return fmt.Errorf("read the defaults of its configuration: %w", err)
	}
	n.OverlayIfindex, n.TunnelPort, n.Tunnel = c.OverlayIfindex, c.TunnelPort, abi.From(c.Tunnel)
	n.NatPortMin, n.NatPortMax = c.NATPortMin, c.NATPortMax
	n.Masquerade4, n.Masquerade6 = abi.From(c.Masquerade4), abi.From(c.Masquerade6)
	n.Loopback4, n.Loopback6 = abi.From(c.Loopback4), abi.From(c.Loopback6)
	n.CallersSeed, n.PathEpoch = c.callersSeed, c.pathEpoch()
	n.AtNetkit, n.HostConntrack, n.Reject = byteOf(c.atNetkit), byteOf(c.hostConntrack), byteOf(!c.Silent)
	n.World4, n.World6 = cmp.Or(c.World4, n.World4), cmp.Or(c.World6, n.World6)
	n.EventsPerSecond = cmp.Or(c.EventsPerSecond, n.EventsPerSecond)
	for name, limit := range map[string]*uint32{
		"connections": &n.ConnectionsLimit, "translations": &n.TranslationsLimit, "fragments": &n.FragmentsLimit,
	} {
		if m := spec.Maps[name]; m != nil {
			*limit = sweep.Limit(m.MaxEntries)
		}
	}
	if m := spec.Maps["connections"]; m != nil {
		n.OpeningsLimit = min(sweep.Limit(m.MaxEntries), abi.Openings)
	}
	if err := variable.Set(&n); err != nil {
		return fmt.Errorf("set its configuration: %w", err)
	}
	return nil
}

// pathEpoch differs between configurations under which path_choose of bpf/lib/path.h chooses differently.
func (c Config) pathEpoch() uint32 { return c.OverlayIfindex }

func byteOf(on bool) uint8 {
	if on {
		return 1
	}
	return 0
}
