package uninstall

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/install"
)

// Command is weft uninstall with all that is below it.
func Command(env Environment) *cobra.Command {
	n, sockets, stay, check := install.Node{}, []string(nil), false, false
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove Weftnet from this node",
		Long: `uninstall leaves this node as it was before Weftnet: it removes the CNI configuration and plugins
(and puts back plugins of others that had their names), programs and maps, devices and routes, gives
the kernel its settings back, and deletes the journal and the sockets.

The agent must not run: delete the DaemonSet first, or keep its pods off this node. Pods that
are connected by Weftnet lose their network at once, and do not get another by themselves: without
--with-pods the command refuses while there are any, so drain the node first; with it, delete them
afterwards. Objects of the cluster (CiliumNode, CiliumEndpoint, CRDs) are not touched. It may be repeated.`,
		Example: `  kubectl drain NODE --ignore-daemonsets --delete-emptydir-data
  kubectl -n kube-system delete daemonset cilium
  weft uninstall                     # as root, on each node`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n.Sockets = sockets
			if check {
				return install.Left(n)
			}
			did, err := install.Remove(c.Context(), n)
			for _, line := range did {
				fmt.Fprintln(env.Out, line)
			}
			if err != nil {
				return err
			}
			if len(did) == 0 {
				fmt.Fprintln(env.Out, "There is nothing of Weftnet on this node.")
			}
			if stay {
				<-c.Context().Done()
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVar(&n.Pods, "with-pods", false, "also if pods are connected: they lose their network")
	f.BoolVar(&stay, "stay", false, "wait for the end afterwards, as the pod of a DaemonSet must")
	f.BoolVar(&check, "check", false, "only tell, by the exit status, whether programs or devices of Weftnet are left")
	f.StringVar(&n.StateDir, "state-dir", "/var/lib/weft", "folder of the journal of attachments")
	f.StringVar(&n.PinDir, "pin-dir", "/sys/fs/bpf/weft", "folder of pinned maps and programs")
	f.StringVar(&n.Conf, "cni-conf-dir", "/etc/cni/net.d", "folder of CNI configurations")
	f.StringVar(&n.Plugins, "cni-bin-dir", "/opt/cni/bin", "folder of CNI plugins")
	f.StringVar(&n.Run, "run-dir", "/run", "the host's folder /run, where its network managers have been told of Weftnet's devices")
	f.StringVar(&n.Proc, "proc", hostProc(), "a proc file system in which the host's network settings may be written")
	c.AddCommand(proxyCommand(env))
	f.StringSliceVar(&sockets, "socket", []string{agentv1.Socket, strings.Replace(agentv1.Socket, "weft.sock", "hubble.sock", 1)}, "sockets of the agent")
	return c
}

// hostProc prefers the host's mount in a container.
func hostProc() string {
	if _, err := os.Stat("/host/proc/sys/net"); err == nil {
		return "/host/proc"
	}
	return "/proc"
}
