package uninstall

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/install/nft"
	"weftnet.io/weftnet/internal/install/proxy"
)

func proxyCommand(env Environment) *cobra.Command {
	yes, dry := false, false
	c := &cobra.Command{
		Use:   "kube-proxy",
		Short: "Remove from this node what a kube-proxy has left",
		Long: `uninstall kube-proxy removes what a kube-proxy has left on this node, where Weftnet has taken its place:
chains KUBE-* of iptables (nft backend, both families) with the rules that lead to them, tables
kube-proxy of nftables, and device kube-ipvs0. It shows first what it will remove, and asks.

Chains of the kubelet stay, and so does every other rule. Connections go on. It refuses while a
kube-proxy runs, and while the agent of this node leaves services to kube-proxy
(kube-proxy-replacement is not "true"). What it names and does not remove (chains of iptables-legacy), kube-proxy
--cleanup removes, or a restart of the machine. It may be repeated.`,
		Example: `  kubectl -n kube-system delete daemonset kube-proxy
  weft uninstall kube-proxy --dry-run   # as root, on each node
  weft uninstall kube-proxy --yes`,
		Args: noProxyArguments,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be removed")
	socket := c.Flags().String("socket", agentv1.Socket, "unix socket of the agent")
	c.RunE = func(c *cobra.Command, _ []string) error {
		left, err := proxy.Look()
		if err != nil {
			return err
		}
		jumps, err := left.Jumps()
		if err != nil {
			return err
		}
		printLeft(env, left, jumps)
		if !left.Some() || dry {
			return nil
		}
		if err := env.isReplaced(c.Context(), *socket); err != nil {
			return err
		}
		if !yes {
			fmt.Fprint(env.Out, "Remove it? [y/N] ")
			answer, _ := bufio.NewReader(env.In).ReadString('\n')
			if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
				fmt.Fprintln(env.Out, "Nothing is removed.")
				return nil
			}
		}
		did, err := left.Remove(jumps)
		for _, line := range did {
			fmt.Fprintln(env.Out, line)
		}
		return err
	}
	return c
}

func noProxyArguments(c *cobra.Command, args []string) error {
	if err := cobra.NoArgs(c, args); err != nil {
		return mistake.Of(err)
	}
	return nil
}

func printLeft(env Environment, left proxy.Left, jumps []nft.Rule) {
	if !left.Some() {
		fmt.Fprintln(env.Out, "There is nothing of a kube-proxy on this node that could be removed.")
	}
	for _, line := range left.Lines() {
		fmt.Fprintf(env.Out, "  %s\n", line)
	}
	for _, r := range jumps {
		fmt.Fprintf(env.Out, "  a rule of chain %s that leads to %s\n", r.Chain, r.To)
	}
	for _, line := range left.Others() {
		fmt.Fprintf(env.Out, "  %s: stays; kube-proxy --cleanup removes it, or a restart of the machine\n", line)
	}
}

// isReplaced says why what kube-proxy has made may be in use, as far as the agent of this node knows; nil: it is not, or there is no agent.
func (env Environment) isReplaced(ctx context.Context, socket string) error {
	var s agentv1.NodeStatus
	if err := env.Get(ctx, socket, agentv1.PathNodeStatus, &s); err != nil {
		return nil //nolint:nilerr // without an agent the process is looked for, no more
	}
	for _, c := range s.Components {
		switch {
		case c.Name != agentv1.ComponentProxy:
		case strings.HasPrefix(c.Message, agentv1.ProxyRuns):
			return fmt.Errorf("the agent says: %s", c.Message)
		default:
			return nil
		}
	}
	return errors.New("this node's agent leaves services to kube-proxy: set kube-proxy-replacement: \"true\" first")
}
