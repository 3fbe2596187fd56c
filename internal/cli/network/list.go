package network

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/tally"
)

func listCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:     "list [NAMESPACE/POD]",
		Aliases: []string{"ls"},
		Short:   "List the NICs of pods: networks, devices, addresses, and where policies hold",
		Long: `list shows one line for each NIC of the pods of this node, and for each that a pod asks for and has not. Enforced says whether policies hold
on it, observed whether its flows are seen. A network whose plugins could make no more NICs now is named below.

Exit status: 0; 1 if a NIC is missing.`,
		Example: `  weft net list
  weft net list shop/web -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	ask := asking(env, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c.Context(), args, func(w io.Writer, nics []agentv1.NIC) error {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "POD\tNIC\tNETWORK\tTYPE\tADDRESSES\tMAC\tMTU\tENFORCED\tOBSERVED\tSTATE")
			for _, n := range nics {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Pod, dash(n.Interface), dash(n.Network), dash(n.Type), dash(strings.Join(n.Addresses, ",")),
					dash(n.MAC), dash(strings.TrimPrefix(fmt.Sprint(n.MTU), "0")), yes(n.Enforced), yes(n.Observed), cmp.Or(n.Lacks, "ready"))
			}
			if err := t.Flush(); err != nil {
				return err
			}
			return impaired(w, nics)
		})
	}
	return c
}

func showCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:     "show NAMESPACE/POD",
		Short:   "Show the NICs of a pod, with all that is known of them",
		Long:    `show says of each NIC of a pod where it leads, what it has, whether policies hold on it and why not, and what keeps it away if it is missing.`,
		Example: `  weft net show shop/web`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return mistake.New("which pod? weft net show NAMESPACE/POD")
			}
			return nil
		},
	}
	ask := asking(env, c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c.Context(), args, func(w io.Writer, nics []agentv1.NIC) error {
			if len(nics) == 0 {
				return fmt.Errorf("no pod %s is attached on this node: weft net list names those that are", args[0])
			}
			for i, n := range nics {
				if i > 0 {
					fmt.Fprintln(w)
				}
				describe(w, n)
			}
			return nil
		})
	}
	return c
}

// impaired names the networks by which no other NIC comes now.
func impaired(w io.Writer, nics []agentv1.NIC) error {
	said := map[string]bool{}
	for _, n := range nics {
		if n.Impaired == "" || said[n.Network] {
			continue
		}
		said[n.Network] = true
		if _, err := fmt.Fprintf(w, "network %s is impaired, pods that ask for it may not start: %s\n", n.Network, n.Impaired); err != nil {
			return err
		}
	}
	return nil
}

// describe prints all of a NIC.
func describe(w io.Writer, n agentv1.NIC) {
	fmt.Fprintf(w, "%s of %s\n", cmp.Or(n.Interface, "further NICs"), n.Pod)
	for _, line := range [][2]string{
		{"network", n.Network},
		{"type", n.Type},
		{"wire", n.Wire},
		{"container", n.Container},
		{"on the node", n.Device},
		{"addresses", strings.Join(n.Addresses, ", ")},
		{"MAC", n.MAC},
		{"MTU", strings.TrimPrefix(fmt.Sprint(n.MTU), "0")},
		{"enforced", yes(n.Enforced)},
		{"observed", yes(n.Observed)},
		{"where", n.Where},
		{"why", n.Why},
		{"impaired", n.Impaired},
		{"lacks", n.Lacks},
		{"what helps", n.Advice},
	} {
		if line[1] != "" {
			fmt.Fprintf(w, "  %-12s %s\n", line[0], line[1])
		}
	}
}

// asking has an agent say which NICs there are, and prints that.
func asking(env Environment, c *cobra.Command) func(ctx context.Context, args []string, text func(io.Writer, []agentv1.NIC) error) error {
	socket := c.Flags().String("socket", agentv1.Socket, "unix socket of the agent")
	output := c.Flags().StringP("output", "o", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return func(ctx context.Context, args []string, text func(io.Writer, []agentv1.NIC) error) error {
		if *output != "text" && *output != "json" {
			return mistake.New("--output %q: must be text or json", *output)
		}
		path := agentv1.PathNICs
		if len(args) > 0 {
			path += "?of=" + url.QueryEscape(args[0])
		}
		var nics []agentv1.NIC
		if err := env.Get(ctx, *socket, path, &nics); err != nil {
			return err
		}
		if *output == "json" {
			e := json.NewEncoder(env.Out)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(nics); err != nil {
				return err
			}
		} else if err := text(env.Out, nics); err != nil {
			return err
		}
		missing := 0
		for _, n := range nics {
			if !n.Ready {
				missing++
			}
		}
		if missing > 0 {
			return errors.New(tally.Of(missing, "NIC is missing", "NICs are missing"))
		}
		return nil
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func dash(text string) string { return cmp.Or(text, "-") }
