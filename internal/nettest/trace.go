package nettest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/install"
)

// looks are what a node is looked at with: the tools that its owner would use.
var looks = [][]string{
	{"ip", "-d", "link"},
	{"ip", "addr"},
	{"ip", "route", "show", "table", "all"},
	{"ip", "-6", "route", "show", "table", "all"},
	{"ip", "rule"},
	{"ip", "-6", "rule"},
	{"ip", "neigh", "show", "nud", "permanent"},
	{"tc", "qdisc"},
	{"nft", "list", "ruleset"},
}

// unsteady settings count what happens.
var unsteady = []string{"netfilter/nf_conntrack_count"}

// Trace lists everything on the node that Weftnet could have left a trace in: devices, addresses, routes, rules,
// permanent neighbours, queueing disciplines, nftables, all kernel settings below /proc/sys/net, pins, and files.
func (n *Node) Trace() (string, error) {
	var b strings.Builder
	err := n.Do(func() error {
		if err := steady(); err != nil {
			return err
		}
		for _, look := range looks {
			out, err := exec.Command(look[0], look[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", strings.Join(look, " "), err, out)
			}
			fmt.Fprintf(&b, "# %s\n%s", strings.Join(look, " "), out)
		}
		fmt.Fprintln(&b, "# settings") // /proc/sys/net is that of the thread
		if err := walk(&b, "/proc/sys/net", true); err != nil {
			return err
		}
		fmt.Fprintln(&b, "# pins")
		return walk(&b, "/sys/fs/bpf", false)
	})
	if err != nil {
		return "", fmt.Errorf("look at node %s: %w", n.Name, err)
	}
	fmt.Fprintln(&b, "# files")
	err = walk(&b, n.dir, false)
	return b.String(), err
}

// steady returns when duplicate address detection is over: until then addresses and their routes come by themselves.
func steady() error {
	for end := time.Now().Add(10 * time.Second); ; {
		out, err := exec.Command("ip", "-6", "addr", "show", "tentative").CombinedOutput()
		switch {
		case err != nil:
			return fmt.Errorf("list tentative addresses: %w: %s", err, out)
		case len(bytes.TrimSpace(out)) == 0:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("addresses stay tentative: %s", out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// walk lists files with their contents, or names only.
func walk(b *strings.Builder, root string, contents bool) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path) // it is below
		switch {
		case err != nil:
			return err
		case filepath.Ext(name) == ".log" || slices.Contains(unsteady, name):
			return nil
		case d.IsDir():
			if !contents {
				fmt.Fprintln(b, name+"/")
			}
			return nil
		case !contents:
			fmt.Fprintln(b, name)
			return nil
		}
		value, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // it can only be written
		}
		fmt.Fprintf(b, "%s = %s\n", name, bytes.TrimSpace(value))
		return nil
	})
}

// Where is what `weft uninstall` has to know of the node, as flags.
func (n *Node) Where() []string {
	return []string{
		"--state-dir=" + n.role().StateDir, "--pin-dir=/sys/fs/bpf/weft", "--cni-conf-dir=" + n.Conf(), "--cni-bin-dir=" + n.Plugins(),
		"--proc=/proc", "--socket=" + n.socket(), "--socket=" + n.Hubble(), "--run-dir=" + n.Run(),
	}
}

// Plugins is the node's folder of CNI plugins. Run stands for its /run, where it has to be mounted.
func (n *Node) Plugins() string { return n.dir + "/bin" }
func (n *Node) Run() string     { return n.dir + "/run" }
func (n *Node) Conf() string    { return n.dir + "/net.d" }

// InstallPlugins puts CNI plugins on the node, as the agent's init container does.
func (n *Node) InstallPlugins(plugins map[string]string) error {
	return install.CopyPlugins(n.Plugins(), plugins)
}
