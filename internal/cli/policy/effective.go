package policy

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/explain"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

func effectiveCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "effective NAMESPACE/NAME|node:NAME",
		Short: "Say who may reach a workload or a node, and what it may reach",
		Long: `effective lists, for a pod, a virtual machine or a node, who may reach it and what it may reach, on which ports, and
which rules say so. It is the sum of all policies, as the kernel enforces it.

It asks the agent of this node, which knows the workloads and policies of the whole cluster; with
--kubeconfig the API server; with -f it reads files: Pods (or what makes them), Namespaces, Nodes and policies.`,
		Example: `  weft policy effective shop/db-0
  weft policy effective node:worker-3
  weft policy effective -f deploy/ shop/db
  weft policy effective shop/db-0 -o json | jq '.ingress.peers[].names[]'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return mistake.New("whose? weft policy effective NAMESPACE/NAME, or node:NAME")
			}
			return nil
		},
	}
	f := newAskFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		e, err := ask(c.Context(), env, f, agentv1.PathEffective, f.query("of", args[0]),
			func(t *table.Tables, s *state.Snapshot) (agentv1.Effective, error) {
				return explain.Effective(s, t, *f.network, args[0])
			})
		if err != nil {
			return err
		}
		return show(env.Out, f, e, printEffective)
	}
	return c
}

func printEffective(out io.Writer, e agentv1.Effective) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s\n", e.Of.Name, strings.Join(e.Of.Labels, ", "))
	for _, d := range []struct {
		title, others string
		side          agentv1.EffectiveSide
	}{{"Who may reach it", "everything else may", e.Ingress}, {"What it may reach", "everything else", e.Egress}} {
		fmt.Fprintf(&text, "\n%s\n", d.title)
		for _, p := range d.side.Peers {
			sign := ""
			if p.Verdict == "deny" {
				sign = "NOT "
			}
			fmt.Fprintf(&text, "  %s%s on %s\n", sign, strings.Join(p.Names, ", "), strings.Join(p.Ports, ", "))
			for _, r := range p.Rules {
				fmt.Fprintf(&text, "    by %s\n", r)
			}
			if p.Reason != "" {
				fmt.Fprintf(&text, "    always: %s\n", p.Reason)
			}
		}
		switch {
		case !d.side.Isolated && len(d.side.Peers) == 0:
			fmt.Fprintf(&text, "  everything: no policy isolates it\n")
		case !d.side.Isolated:
			fmt.Fprintf(&text, "  %s: no policy isolates it\n", d.others)
		default:
			fmt.Fprintf(&text, "  nothing else\n")
		}
		for _, by := range d.side.By {
			fmt.Fprintf(&text, "    isolated by %s\n", by)
		}
	}
	if e.Audited {
		fmt.Fprintf(&text, "\nIts namespace or the configuration is audited: what its policies deny passes, and flows say AUDIT\n")
	}
	for _, mode := range []struct {
		policies []string
		what     string
	}{{e.Audits, "audited: what it would deny passes"}, {e.Staged, "staged: it does nothing yet"}} {
		for i, p := range mode.policies {
			fmt.Fprintf(&text, "%s%s is %s\n", [...]string{"\n", ""}[min(i, 1)], p, mode.what)
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}
