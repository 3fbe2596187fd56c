// Package cluster brings a lab cluster up, takes it down, and looks after it: the one package that knows the order of things.
//
// A lab is one directory (binaries, images, and under run/ all of one life of the cluster) and what it puts on the machine: the
// cgroup weftlab, links and namespaces whose names begin with weftlab, and the link /run/weft-lab to its directory. All of these are
// found by name, so bringing up and taking down need no memory of what happened before:
//
//	Up   on a running cluster of the same shape: build what changed, load it, roll it out
//	     on anything else, half-up, crashed, or of another shape: take down, then start
//	Down whatever is found, in any state, until nothing is left
//
// Invariants: one lab per machine, held by a lock that ends with the process; a process is in the cgroup from its first instruction;
// run/cluster.json is written once all nodes have registered.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weftnet.io/weftnet/lab/internal/cgroup"
	"weftnet.io/weftnet/lab/internal/kube"
	"weftnet.io/weftnet/lab/internal/node"
	"weftnet.io/weftnet/lab/internal/process"
	"weftnet.io/weftnet/lab/internal/progress"
	"weftnet.io/weftnet/lab/internal/topology"
)

// Networks.
const (
	NetworkWeft   = "weft"   // the project's own
	NetworkBridge = "bridge" // standard CNI plugins, no policy
	NetworkNone   = "none"   // nodes stay NotReady until one is installed
)

// ownerLink leads from a fixed place to the directory of the lab that is on the machine.
const ownerLink = "/run/weft-lab"

// Config is the shape of a cluster. Two equal ones make the same cluster.
type Config struct {
	Nodes     int      `json:"nodes"`
	Family    string   `json:"family"`
	Network   string   `json:"network"`
	KubeProxy string   `json:"kubeProxy"`
	Set       []string `json:"set,omitempty"` // chart values
}

func (c Config) topology() (topology.Cluster, error) {
	f, err := topology.ParseFamily(c.Family)
	if err != nil {
		return topology.Cluster{}, err
	}
	t := topology.Cluster{Nodes: c.Nodes, Family: f}
	return t, t.Validate()
}

// Validate names the first field that is wrong.
func (c Config) Validate() error {
	if _, err := c.topology(); err != nil {
		return err
	}
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{
		{"network", c.Network, []string{NetworkWeft, NetworkBridge, NetworkNone}},
		{"kube-proxy", c.KubeProxy, []string{"nftables", "iptables", "none"}},
	} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("%s: %q: want %s", f.name, f.value, strings.Join(f.allowed, ", "))
		}
	}
	return nil
}

// sameMachines reports whether a cluster of shape c can become one of shape d without new nodes.
func (c Config) sameMachines(d Config) bool {
	return c.Nodes == d.Nodes && c.Family == d.Family && c.Network == d.Network && c.KubeProxy == d.KubeProxy
}

func (c Config) String() string {
	return fmt.Sprintf("%d nodes, %s, network %s, kube-proxy %s", c.Nodes, c.Family, c.Network, c.KubeProxy)
}

// Lab is a lab directory and the means to act on it.
type Lab struct {
	Dir      string
	Source   string // root of the repository; empty when only what is built already can be used
	Progress *progress.Printer
	Patience time.Duration // how long one step of Up may take; what has died is noticed at once

	groups cgroup.Hierarchies
}

// Open prepares a lab directory. It changes nothing on the machine but making the directory.
func Open(dir, source string, p *progress.Printer) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lab directory: %w", err)
	}
	// Nodes see the directory under its real path.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("lab directory: %w", err)
	}
	l := &Lab{Dir: dir, Source: source, Progress: p, Patience: 5 * time.Minute}
	if l.groups, err = cgroup.Detect(); err != nil {
		return nil, err
	}
	return l, nil
}

// Bin is the path of a built program.
func (l *Lab) Bin(name string) string { return filepath.Join(l.Dir, "bin", name) }

// Run is a path below the running cluster's folder.
func (l *Lab) Run(name string) string { return filepath.Join(l.Dir, "run", name) }

// Kubeconfig of the cluster's administrator.
func (l *Lab) Kubeconfig() string { return l.Run("admin.kubeconfig") }

// lock keeps two commands from changing the machine at the same time. An abstract socket leaves no file, and the kernel frees it
// however the holder ends.
func lock() (release func(), err error) {
	s, err := net.Listen("unix", "@weft-lab")
	if err != nil {
		return nil, errors.New("another weft-lab command is at work on this machine; wait for it to end")
	}
	return func() { s.Close() }, nil
}

// owner is the directory of the lab on this machine, empty if there is none.
func owner() string {
	dir, err := os.Readlink(ownerLink)
	if err != nil {
		return ""
	}
	return dir
}

func (l *Lab) claim() error {
	if err := os.Remove(ownerLink); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(l.Dir, ownerLink)
}

// Config of the cluster that is up. It fails when none is.
func (l *Lab) Config() (Config, error) {
	b, err := os.ReadFile(l.Run("cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if dir := owner(); dir != "" && dir != l.Dir {
			return Config{}, fmt.Errorf("no cluster is up in %s; the one on this machine lives in %s: add --dir %s", l.Dir, dir, dir)
		}
		return Config{}, errors.New("no cluster is up: run `weft-lab up` first")
	}
	if err != nil {
		return Config{}, err
	}
	var c Config
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", l.Run("cluster.json"), err)
	}
	return c, nil
}

func (l *Lab) saveConfig(c Config) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	tmp := l.Run("cluster.json.tmp")
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, l.Run("cluster.json"))
}

// Client connects to the cluster.
func (l *Lab) Client() (*kube.Client, error) { return kube.Open(l.Kubeconfig()) }

func (l *Lab) pidFile(name string) string { return l.Run("pid/" + name + ".json") }

// controlPlane is the record name of the control plane process; a node's is its node name.
const controlPlane = "control-plane"

// NodePID is the process number of a node's PID 1.
func (l *Lab) NodePID(name string) (int, error) {
	r, err := process.Load(l.pidFile(name))
	if err != nil {
		return 0, fmt.Errorf("no node %q: want node1, node2, …: %w", name, err)
	}
	if !r.Alive() {
		return 0, fmt.Errorf("node %s is dead: see %s, then run `weft-lab up`", name, r.Log)
	}
	return r.PID, nil
}

// NodeRoot is a node's root directory as seen from the machine.
func NodeRoot(pid int) string { return fmt.Sprintf("/proc/%d/root", pid) }

// NodeCgroup is the cgroup2 directory of a node's own processes.
func (l *Lab) NodeCgroup(name string) string {
	return filepath.Join(l.groups.Unified, node.CgroupSystem(name))
}

// health returns an error for the first process of the cluster that does not run, with the end of its log. With strict, a node
// component that was restarted counts, too.
func (l *Lab) health(t topology.Cluster, strict bool) error {
	r, err := process.Load(l.pidFile(controlPlane))
	if err != nil || !r.Alive() {
		return fmt.Errorf("the control plane has ended%s", tail(l.Run("log/control-plane.log")))
	}
	for i := 1; i <= t.Nodes; i++ {
		spec := node.NewSpec(t, i, "", l.Dir)
		r, err := process.Load(l.pidFile(spec.Name))
		if err != nil || !r.Alive() {
			return fmt.Errorf("%s has ended%s", spec.Name, tail(spec.Log("")))
		}
		state, err := node.LoadState(spec.Dir())
		if err != nil {
			return fmt.Errorf("%s: %w", spec.Name, err)
		}
		if name, exit, failed := state.Failed(); failed && strict {
			return fmt.Errorf("%s on %s has ended: %s%s", name, spec.Name, exit, tail(spec.Log(name)))
		}
	}
	return nil
}

// tail is the end of a log, indented, for an error message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return "; " + path + " is empty"
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	lines = lines[max(0, len(lines)-15):]
	return "; the end of " + path + ":\n    " + strings.Join(lines, "\n    ")
}

// await polls until ask returns nil. It gives up when a process of the cluster has died, or when its patience ends, with ask's last
// answer.
func (l *Lab) await(ctx context.Context, t topology.Cluster, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.Patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, kube.ErrHopeless) {
			return err
		}
		if dead := l.health(t, true); dead != nil {
			return dead
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("still not after %s: %w", l.Patience, err)
			}
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
