package agent

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/agent/capacity"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/settings"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

// Sources of workloads that reach themselves through a service: addresses that nobody else has (RFC 3927, RFC 4193).
var (
	loopback4 = netip.MustParseAddr("169.254.42.1")
	loopback6 = netip.MustParseAddr("fd57:4546:54::1")
)

type runFunc func(name string, f func(context.Context) error)

// start waits for the facts that programs are loaded with, loads them, and opens the node for workloads.
func (a *Agent) start(ctx context.Context, run runFunc, mux *http.ServeMux) error {
	config, err := a.config(ctx)
	if err != nil {
		return err
	}
	node, err := a.localNode(ctx)
	if err != nil {
		return err
	}
	overlay, err := a.overlay(ctx, config)
	if err != nil {
		return err
	}
	programs := a.programs(config, node, overlay)
	bytes, err := capacity.Memory()
	if err != nil {
		return err
	}
	programs.Entries = capacity.Entries(config.Maps, bytes)
	dp, err := datapath.Open(a.PinDir, programs)
	if err != nil {
		return fmt.Errorf("open datapath: %w", err)
	}
	defer dp.Close()
	a.datapath = dp
	for _, name := range dp.Renewed() {
		a.Log.Warn("a map of an earlier version has a shape that nobody can read: it begins empty", "map", name)
	}
	for name, asked := range programs.Entries {
		if has := dp.Map(name).MaxEntries(); has != asked {
			a.Log.Warn("a map keeps its former size: what it holds does not fit into the one that is asked for", "map", name, "size", has, "asked", asked)
		}
	}
	if err := a.runMaps(run, config); err != nil {
		return err
	}
	if moving := dp.Moving(); len(moving) > 0 {
		a.Log.Info("maps of an earlier version have another shape: what is in them is moved", "maps", moving)
		run("move", a.moveMaps)
	}
	boot, err := sinklink.Boot()
	if err != nil {
		return err
	}
	a.cni, err = cni.New(cni.Options{
		Tables: a.Tables, DB: a.DB, StateDir: a.StateDir, Boot: boot, Root: a.Root, Log: a.Log, Health: a.health, Kernel: a.node.Links,
	})
	if err != nil {
		return err
	}
	a.cni.Register(mux)
	run("cni", a.cni.Run)
	if err := a.open(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// followEvery is how long what a former program learns may be unknown to the programs of this agent, while both are there.
const followEvery = 20 * time.Millisecond

// moveMaps moves what the programs of an earlier agent learn, until the last of them is replaced.
func (a *Agent) moveMaps(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		done, err := a.datapath.Follow()
		if err != nil {
			return err
		}
		if done {
			a.Log.Info("all that an earlier version had in its maps is moved")
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// config waits for the configuration and reads it.
func (a *Agent) config(ctx context.Context) (settings.Config, error) {
	a.waitsFor("the configuration (ConfigMap kube-system/cilium-config)")
	if err := a.until(ctx, a.Tables.Settings, a.Tables.Settings.IsSynced); err != nil {
		return settings.Config{}, err
	}
	s := a.DB.Snapshot()
	config, problems := settings.Parse(func(name string) (string, bool) {
		row, ok := a.Tables.Settings.One(s, state.Join(name))
		return row.Value, ok
	})
	for _, p := range problems {
		a.Log.Warn("configuration", "key", p.Key, "value", p.Value, "problem", p.Message)
	}
	a.mu.Lock()
	a.problems, a.running, a.given = problems, config, a.values(s)
	a.mu.Unlock()
	return config, nil
}

// localNode waits until the cluster knows this node and its addresses.
func (a *Agent) localNode(ctx context.Context) (node table.Node, err error) {
	a.waitsFor("the CiliumNode object of this node")
	err = a.until(ctx, a.Tables.Nodes, func(r state.Reader) bool {
		for node = range a.Tables.Nodes.By(r, table.ByLocal, state.Join(true)) {
			return len(node.Addresses) > 0
		}
		return false
	})
	return node, err
}

// overlay waits for the tunnel device and gives its index. A node in native mode has one as well, for what nodes in tunnel
// mode send; but where it cannot be made there, the node goes without: 0.
func (a *Agent) overlay(ctx context.Context, config settings.Config) (uint32, error) {
	a.waitsFor("the tunnel device " + attach.TunnelDevice)
	var failed string
	err := a.until(ctx, status.Statuses, func(r state.Reader) bool {
		s, _ := status.Statuses.One(r, status.KeyOf(a.Tables.Tunnels, state.Join(attach.TunnelDevice)))
		failed = s.Err
		return s.Done || failed != "" && config.Routing == settings.Native
	})
	if err != nil {
		return 0, err
	}
	if failed != "" {
		a.Log.Warn("this node cannot take packets of nodes in tunnel mode: do not change the routing mode of this cluster before that is mended", "error", failed)
		return 0, nil
	}
	var index uint32
	err = a.until(ctx, a.Tables.Devices, func(r state.Reader) bool {
		for d := range a.Tables.Devices.By(r, table.ByName, state.Join(attach.TunnelDevice)) {
			index = uint32(d.Index)
			return true
		}
		return false
	})
	return index, err
}

// programs is what the programs are told about this node.
func (a *Agent) programs(config settings.Config, node table.Node, overlay uint32) datapath.Config {
	c := datapath.Config{
		OverlayIfindex: overlay, TunnelPort: config.TunnelPort, Tunnel: node.Underlay(), World4: uint32(identity.World), World6: uint32(identity.World),
		Loopback4: loopback4, Loopback6: loopback6, Silent: !config.Reject, Classic: config.Classic,
	}
	l := config.Lives
	c.Lives = datapath.Lives{
		TCPOpen: [2]time.Duration{l.TCP, l.ServiceTCP}, TCPOpening: l.TCPOpening, TCPClosing: [2]time.Duration{l.TCPClosing, l.ServiceClosing},
		Datagram: [2]time.Duration{l.Datagrams, l.ServiceDatagrams},
	}
	if config.IPv4 && config.IPv6 {
		c.World4, c.World6 = uint32(identity.WorldIPv4), uint32(identity.WorldIPv6)
	}
	c.NATPortMin, c.NATPortMax = natPorts(a.proc("net/ipv4/ip_local_port_range"), a.proc("net/ipv4/ip_local_reserved_ports"))
	for _, addr := range node.Addresses {
		if addr.Is4() && config.MasqueradeIPv4 && !c.Masquerade4.IsValid() {
			c.Masquerade4 = addr
		}
		if addr.Is6() && config.MasqueradeIPv6 && !c.Masquerade6.IsValid() {
			c.Masquerade6 = addr
		}
	}
	return c
}

func (a *Agent) proc(name string) string {
	text, err := os.ReadFile(filepath.Join(cmp.Or(a.Proc, "/proc"), "sys", name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// natPorts is the largest range of unprivileged ports that the host gives to nobody: neither to its own sockets
// (ip_local_port_range), nor by reservation (ip_local_reserved_ports), nor to node ports.
func natPorts(local, reserved string) (low, high uint16) {
	taken := [1 << 16]bool{}
	mark := func(from, to int) {
		for p := max(from, 0); p <= to && p < len(taken); p++ {
			taken[p] = true
		}
	}
	mark(0, 1023)
	mark(30000, 32767)
	from, to := 32768, 60999
	if f := strings.Fields(local); len(f) == 2 {
		if x, err := strconv.Atoi(f[0]); err == nil {
			from = x
		}
		if x, err := strconv.Atoi(f[1]); err == nil {
			to = x
		}
	}
	mark(from, to)
	for _, r := range strings.Split(reserved, ",") {
		first, last, isRange := strings.Cut(r, "-")
		if !isRange {
			last = first
		}
		x, err1 := strconv.Atoi(first)
		y, err2 := strconv.Atoi(last)
		if err1 == nil && err2 == nil {
			mark(x, y)
		}
	}
	best, start := 0, 0
	for p := 0; p <= len(taken); p++ {
		if p < len(taken) && !taken[p] {
			continue
		}
		if p-start > best {
			best, low, high = p-start, uint16(start), uint16(p-1)
		}
		start = p + 1
	}
	return low, high
}

// open waits until what stands in the tables is in the kernel, and tells the container runtime that the node has a network.
func (a *Agent) open(ctx context.Context) error {
	t := a.Tables
	a.waitsFor("the first full list of policies, identities, endpoints and services")
	for _, one := range []state.AnyTable{t.Policies, t.Identities, t.Endpoints, t.Services, t.EndpointSlices, t.Namespaces, t.Pods, t.IPCache, t.Frontends} {
		if err := a.until(ctx, one, func(r state.Reader) bool { return one.Synced(a.DB.Snapshot()) }); err != nil {
			return err
		}
	}
	a.waitsFor("the datapath of this node")
	for _, name := range []string{t.IPCache.Name(), t.Frontends.Name(), t.Hooks.Name()} {
		if err := a.until(ctx, status.Statuses, func(r state.Reader) bool {
			s, ok := status.Statuses.One(r, state.Join(name, state.Key("")))
			return ok && s.Done
		}); err != nil {
			return err
		}
	}
	if a.CNIConf != "" {
		if err := cni.WriteConf(a.CNIConf, cni.Conf{Socket: a.Socket}); err != nil {
			return err
		}
	}
	a.waitsFor("")
	a.Log.Info("ready")
	return nil
}

// until waits for a condition on a table.
func (a *Agent) until(ctx context.Context, t interface {
	WatchAll(*state.Snapshot) <-chan struct{}
}, done func(state.Reader) bool,
) error {
	for {
		s := a.DB.Snapshot()
		changed := t.WatchAll(s)
		if done(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
