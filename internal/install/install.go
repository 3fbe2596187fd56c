// Package install puts Weftnet on a node and takes it away again.
//
// # The world it models
//
// What a node has of Weftnet, who puts it there, and how Remove finds it when no agent runs any more:
//
//	CNI plugins                   CopyPlugins              by the digests in a manifest beside them
//	CNI configuration             the agent, when ready    by its name
//	programs on devices, maps     the agent                by the pin directory, and the filters' names
//	devices                       the agent                by their alias (and name)
//	routes                        the agent                by protocol and metric
//	settings of the kernel        the agent, when starting by the file that says what they were before
//	word to network managers      the agent, when starting by their names below /run
//	journal, sockets              the agent                by their folders
//
// # Invariants
//
//   - What is not known to be Weftnet's is left alone: devices, routes and binaries of others, whatever their names.
//   - Remove may be repeated; what an earlier one could not do is done by the next.
//   - The CNI configuration goes first, so that no pod is started on a network that is on its way out; the journal last, so
//     that an agent that is started after a failure knows what is there.
//
// # Example
//
//	err := install.CopyPlugins("/host/opt/cni/bin", install.Plugins)
//	did, err := install.Remove(ctx, install.Node{StateDir: "/var/lib/weft", PinDir: "/sys/fs/bpf/weft"})
package install

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/datapath"
	"weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/link/record"
	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/source/cni"
)

// Node is where a node has what.
type Node struct {
	StateDir string   // journal of the agent
	PinDir   string   // pinned maps and programs
	Conf     string   // folder of CNI configurations
	Plugins  string   // folder of CNI plugins
	Run      string   // the host's /run, where its network managers are told to leave our devices alone; empty: they were not
	Proc     string   // a proc file system in which the host's network settings may be written; empty: /proc
	Sockets  []string // of the agent: that of the CNI and the CLI first
	Pods     bool     // also if pods lose their network
}

// SettingsFile is where the agent writes down what the node's settings were, in its state directory.
func SettingsFile(stateDir string) string { return filepath.Join(stateDir, "settings-before.json") }

// AttachedError says that pods of the node would lose their network.
type AttachedError struct{ Devices []string }

func (e *AttachedError) Error() string {
	return fmt.Sprintf("%d pods of this node are connected by Weftnet (device %s, …) and would lose their network at once: drain the node first, "+
		"or allow it with --with-pods and delete them afterwards", len(e.Devices), e.Devices[0])
}

// Remove takes Weftnet off this node, in the network namespace that the caller is in. It tells what it did, a line each.
// It refuses while an agent runs, and while pods are connected unless they may be cut off.
func Remove(ctx context.Context, n Node) (did []string, err error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	say := func(format string, args ...any) { did = append(did, fmt.Sprintf(format, args...)) }
	var errs []error
	step := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if was, err := cni.RemoveConf(n.Conf); was {
		say("removed the CNI configuration: no pod is started here until another plugin brings its own")
	} else {
		step("CNI configuration", err)
	}
	count, err := datapath.Remove(n.PinDir)
	step("programs and maps", err)
	if count > 0 {
		say("took %d programs off devices and removed all maps", count)
	}
	workloads, tunnels, err := link.Ours()
	step("devices", err)
	// Routes first: with a device the kernel takes its routes along, but those by way of other nodes have none of ours.
	routes, err := route.New()
	step("routes", err)
	if err == nil {
		n, err := routes.Clear(ctx)
		step("routes", err)
		if n > 0 {
			say("removed %d routes", n)
		}
	}
	neighbors, err := route.NewNeighbors()
	step("neighbours", err)
	if err == nil {
		_, err := neighbors.Clear(ctx)
		step("neighbours", err)
	}
	for _, name := range slices.Concat(workloads, tunnels) {
		err := link.Delete([]string{name})
		step("devices", err)
		if err == nil {
			say("removed device %s", name)
		}
	}
	// After the devices: a device that is going is taken up by no manager.
	told, err := forgetManagers(n.Run)
	step("network managers", err)
	did = append(did, told...)
	settings, err := record.Restore(n.Proc, SettingsFile(n.StateDir))
	step("kernel settings", err)
	did = append(did, settings...)
	plugins, err := RemovePlugins(n.Plugins)
	step("CNI plugins", err)
	did = append(did, plugins...)
	for _, s := range n.Sockets {
		step("sockets", removeIfThere(s))
		_ = os.Remove(filepath.Dir(s)) // others may have something there
	}
	if len(errs) > 0 {
		return did, errors.Join(append(errs, fmt.Errorf("%s stays until the rest is done: repeat the command", n.StateDir))...)
	}
	if _, err := os.Stat(n.StateDir); err == nil {
		if err := os.RemoveAll(n.StateDir); err != nil {
			return did, fmt.Errorf("journal: %w", err)
		}
		say("removed %s", n.StateDir)
	}
	return did, nil
}

// Left says what Remove has not removed yet: an error that names a device or the pins, or nil.
func Left(n Node) error {
	workloads, tunnels, err := link.Ours()
	if err != nil {
		return err
	}
	if devices := slices.Concat(workloads, tunnels); len(devices) > 0 {
		return fmt.Errorf("device %s is left", devices[0])
	}
	if _, err := os.Stat(n.PinDir); err == nil {
		return fmt.Errorf("%s is left", n.PinDir)
	}
	return nil
}

// check says why now is not the time.
func (n Node) check() error {
	for _, s := range n.Sockets {
		if conn, err := net.DialTimeout("unix", s, time.Second); err == nil {
			conn.Close()
			return fmt.Errorf("an agent runs on this node (it answers on %s) and would put back what is taken away: delete the DaemonSet first, "+
				"or keep its pods off this node", s)
		}
	}
	workloads, _, err := link.Ours()
	if err == nil && len(workloads) > 0 && !n.Pods {
		return &AttachedError{workloads}
	}
	return err
}
