package process

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/policy"
	"weftnet.io/weftnet/internal/state"
)

// dump is everything that follows from the facts of a node, in lines that can be compared: desired tables, entries of
// maps, pins, files of the journal. Numbers that are given out in order of need (indexes of devices and sets, generations,
// lists of rules, services, backends) are replaced by what they stand for; a number that stands for nothing is shown as
// such, for then something leaked.
func (p *process) dump() (string, error) {
	d := &dumper{sets: map[uint32]string{}, generations: map[uint32]string{}, backends: map[uint32]string{}, lists: map[uint32]string{}}
	p.tables(d)
	for _, read := range []func() error{d.readNICs, d.readSets, d.readPolicies, d.readRanges, d.readHosts, d.readServices, d.pins} {
		if err := read(); err != nil {
			return "", err
		}
	}
	if err := d.files(p.StateDir); err != nil {
		return "", err
	}
	slices.Sort(d.lines)
	return strings.Join(d.lines, "\n") + "\n", nil
}

type dumper struct {
	lines       []string
	sets        map[uint32]string // by index
	generations map[uint32]string
	backends    map[uint32]string
	lists       map[uint32]string // of rules
}

func (d *dumper) line(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// tables prints the tables whose rows hold no such numbers. The maps tell of the others.
func (p *process) tables(d *dumper) {
	t, s := p.agent.Tables, p.agent.DB.Snapshot()
	for _, one := range []state.AnyTable{
		t.Attachments, t.Workloads, t.IdentityClaims, t.Published, t.Links, t.Tunnels, t.Routes, t.PolicySets, t.Frontends, t.Findings,
	} {
		for _, row := range one.Rows(s) {
			d.line("table %s: %s", one.Name(), strings.Join(row.Row(), " "))
		}
	}
	for l := range t.RuleLists.All(s) {
		d.lists[l.Number] = fmt.Sprint(l.Rules)
	}
	for set := range t.SetStatuses.All(s) {
		d.sets[set.Index] = set.Set.String()
	}
}

func name(ifindex uint32) string {
	i, err := net.InterfaceByIndex(int(ifindex))
	if err != nil {
		return fmt.Sprintf("device that is gone (%d)", ifindex)
	}
	return i.Name
}

func named(names map[uint32]string, number uint32) string {
	if text, ok := names[number]; ok {
		return text
	}
	return fmt.Sprintf("nothing known (%d)", number)
}

// each reads a pinned map.
func each[K, V any](m string, do func(K, V) error) error {
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(PinDir, m), nil)
	if err != nil {
		return fmt.Errorf("open map %s: %w", m, err)
	}
	defer pinned.Close()
	var k K
	var v V
	all := pinned.Iterate()
	for all.Next(&k, &v) {
		if err := do(k, v); err != nil {
			return err
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read map %s: %w", m, err)
	}
	return nil
}

func (d *dumper) readNICs() error {
	return each("nics", func(ifindex uint32, n abi.Nic) error {
		d.line("map nics: %s incarnation %d identity %d set %s %v %v %x %x", name(ifindex), n.Incarnation, n.Identity, named(d.sets, n.Set), n.Ipv4.IP(), n.Ipv6.IP(), n.Mac, n.HostMac)
		return nil
	})
}

func (d *dumper) readSets() error {
	return each("sets", func(index uint32, s abi.Set) error {
		if s.Generation == 0 {
			return nil
		}
		d.generations[uint32(s.Generation)] = named(d.sets, index)
		d.line("map sets: %s", named(d.sets, index))
		return nil
	})
}

func (d *dumper) readPolicies() error {
	return each("policies", func(k abi.PolicyKey, p abi.Policy) error {
		rules := "[]"
		if p.Rules != 0 {
			rules = named(d.lists, p.Rules)
		}
		d.line("map policies: set %s %v peer %d protocol %d port %d/%d: %v match %v precedence %d rules %s", named(d.generations, k.Generation),
			layer(k.Layer), k.Peer, k.Protocol, k.Port.Number(), k.Bits, policy.Verdict(p.Verdict), p.Match, p.Precedence, rules)
		return nil
	})
}

// layer is a policy key's direction, with the view and the tier where they are not the usual ones.
func layer(of uint8) string {
	text := policy.Direction(of & (1<<abi.LayerTier - 1)).String()
	if tier := policy.Tier(of >> abi.LayerTier & 3); tier != policy.Normal {
		text = tier.String() + " " + text
	}
	if view := policy.View(of >> abi.LayerView); view != policy.InForce {
		text = view.String() + " " + text
	}
	return text
}

func (d *dumper) readRanges() error {
	return each("ranges", func(k abi.RangeKey, class uint32) error {
		d.line("map ranges: set %s %v %v/%d: %d", named(d.generations, k.Generation), k.Place, k.Addr.IP(), k.Bits, class)
		return nil
	})
}

func (d *dumper) readHosts() error {
	value := func(h abi.Ipcache) string {
		device := "-"
		if h.Ifindex != 0 {
			device = name(h.Ifindex)
		}
		return fmt.Sprintf("identity %d device %s flags %d tunnel %v", h.Identity, device, h.Flags, h.Tunnel.IP())
	}
	err := each("ipcache", func(k abi.IpcacheKey, h abi.Ipcache) error {
		d.line("map ipcache: %d %v %s", k.Net, k.Addr.IP(), value(h))
		return nil
	})
	if err != nil {
		return err
	}
	return each("prefixes", func(k abi.PrefixKey, h abi.Ipcache) error {
		d.line("map prefixes: %d %v/%d %s", k.Net, k.Addr.IP(), k.Bits, value(h))
		return nil
	})
}

// pins lists what is pinned.
func (d *dumper) pins() error {
	return filepath.WalkDir(PinDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, _ := strings.CutPrefix(path, PinDir+"/")
		var ifindex uint32
		var program string
		if n, _ := fmt.Sscanf(text, "links/%d-%s", &ifindex, &program); n == 2 {
			text = program + " on " + name(ifindex)
		}
		d.line("pin %s", text)
		return nil
	})
}

// files lists the journal.
func (d *dumper) files(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path == filepath.Join(dir, "events") {
			return fs.SkipDir // what was told of lost events follows from the time
		}
		if err == nil && !e.IsDir() {
			text, _ := strings.CutPrefix(path, dir+"/")
			d.line("file %s", text)
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
