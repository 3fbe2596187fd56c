package agent

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/install"
	"weftnet.io/weftnet/internal/source/kube"
)

// Command is weft-agent's command line. args are those it was called with: what is no flag of its own is a
// configuration key, which wins over the ConfigMap's.
func Command(args []string, version string) *cobra.Command {
	o := Options{Version: version, Flags: map[string]string{}}
	debug := false
	c := &cobra.Command{
		Use:   "weft-agent [--KEY=VALUE …]",
		Short: "Run one node's network",
		Long: `weft-agent connects, secures and shows the traffic of the workloads of one node.

Its configuration is ConfigMap kube-system/cilium-config. Every key of it may also be given as a flag, --KEY=VALUE,
which then wins; ` + "`weft status`" + ` lists each key with what became of it. The flags below are about where the agent
finds things and cannot be in the ConfigMap.`,
		SilenceUsage: true, SilenceErrors: true, Version: version,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			slog.SetDefault(o.Log)
			if o.Node == "" {
				return fmt.Errorf("the name of this node is not known: set --node-name or K8S_NODE_NAME")
			}
			return New(o).Run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.Node, "node-name", os.Getenv("K8S_NODE_NAME"), "name of this node, as in its Node object")
	f.StringVar(&o.Kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the API server; empty: as a pod does")
	f.StringVar(&o.Servers, "k8s-api-server-urls", "", kube.ServersUse)
	f.StringVar(&o.Socket, "socket", agentv1.Socket, "where weft-cni and weft find this agent")
	f.StringVar(&o.StateDir, "state-dir", "/var/lib/weft", "folder of the journal of attachments")
	f.StringVar(&o.PinDir, "pin-dir", "/sys/fs/bpf/weft", "folder for pinned maps and programs, below a BPF file system")
	f.StringVar(&o.Proc, "proc", defaultProc(), "a proc file system in which the host's network settings may be written")
	f.StringVar(&o.RunDir, "run-dir", defaultRun(), "the host's folder /run, where its network managers are told to leave Weftnet's devices alone; empty: they are not told")
	f.StringVar(&o.CNIConf, "cni-conf-dir", "/etc/cni/net.d", "folder for the CNI configuration")
	f.StringSliceVar(&o.Plugins, "cni-bin-dirs", []string{"/opt/cni/bin", "/host/opt/cni/bin"}, "folders of CNI plugins, which make further NICs of pods; the first that has one counts")
	f.StringSliceVar(&o.Confs, "network-conf-dirs", []string{"/etc/cni/multus/net.d", "/etc/cni/net.d"}, "folders of CNI configurations, for NetworkAttachmentDefinitions without spec.config; the first that has one of that name counts")
	f.StringVar(&o.Health, "health-listen", "127.0.0.1:9879", "address of /healthz and /readyz")
	f.StringVar(&o.Metrics, "metrics-listen", ":9962", "address of /metrics; key prometheus-serve-addr wins; empty: none")
	f.BoolVar(&debug, "debug-log", false, "log more")
	known := func(name string) bool { return f.Lookup(name) != nil || name == "help" || name == "version" }
	c.SetArgs(takeKeys(args, known, o.Flags))
	c.AddCommand(installCommand())
	return c
}

// takeKeys moves flags that are configuration keys into keys and returns the rest.
func takeKeys(args []string, known func(string) bool, keys map[string]string) (rest []string) {
	for _, a := range args {
		name, isFlag := strings.CutPrefix(a, "--")
		name, value, hasValue := strings.Cut(name, "=")
		if !isFlag || name == "" || known(name) || (len(args) > 0 && args[0] == "install-cni") {
			rest = append(rest, a)
			continue
		}
		if !hasValue {
			value = "true"
		}
		keys[name] = value
	}
	return rest
}

func installCommand() *cobra.Command {
	dir := "/host/opt/cni/bin"
	c := &cobra.Command{
		Use:   "install-cni",
		Short: "Copy the CNI plugins of this image to the node",
		Long:  "install-cni copies weft-cni (also as cilium-cni), portmap and loopback into the node's folder of CNI plugins, each by rename.",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return install.CopyPlugins(dir, install.Plugins) },
	}
	c.Flags().StringVar(&dir, "dir", dir, "folder of CNI plugins")
	return c
}

// defaultProc prefers the host's mount in a container.
func defaultProc() string {
	if _, err := os.Stat("/host/proc/sys/net"); err == nil {
		return "/host/proc"
	}
	return "/proc"
}

// defaultRun prefers the host's mount in a container.
func defaultRun() string {
	if _, err := os.Stat("/host/run"); err == nil {
		return "/host/run"
	}
	return "/run"
}
