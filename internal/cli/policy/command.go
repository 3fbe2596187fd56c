package policy

import (
	"context"
	"encoding/json"
	"io"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"github.com/spf13/cobra"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/manifest"
)

// Environment is what the commands live in.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	Get      func(ctx context.Context, socket, path string, into any) error // asks an agent for a document
	// Cluster lists what policies are about from an API server: that of a kubeconfig file, else the usual one.
	Cluster func(ctx context.Context, kubeconfig string) ([]*manifest.Object, error)
	// Flows calls each with the flows that a Hubble server has recorded since a time (of weft observe --since): that of server, or, if it is
	// the usual one and no agent is here, that of the cluster of a kubeconfig file, else the usual cluster.
	Flows func(ctx context.Context, server, kubeconfig, since string, each func(*flowpb.Flow) error) error
}

// Command is weft policy with all that is below it.
func Command(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check policies, and ask what they do",
		Long: `policy checks policy objects and says what they do: CiliumNetworkPolicy,
CiliumClusterwideNetworkPolicy, NetworkPolicy and ClusterNetworkPolicy.`,
		Example: `  weft policy check -f policies/
  weft policy explain --from shop/web --to shop/db:5432
  weft policy effective shop/db
  weft policy simulate -f new.yaml --since 1h`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.New("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(checkCommand(env), explainCommand(env), effectiveCommand(env), simulateCommand(env))
	return c
}

// noArguments refuses words that are no flags: most often a file without -f.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return mistake.New("%q is no flag; files are given with -f", args[0])
	}
	return nil
}

// outputFlag adds -o to a command whose output is text or JSON.
func outputFlag(c *cobra.Command) *string {
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c.Flags().StringP("output", "o", "text", "text or json")
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return mistake.New("--output %q: must be text or json", output)
	}
	return nil
}

func printJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

// filesFlag adds -f.
func filesFlag(c *cobra.Command, use string) *[]string {
	_ = c.MarkFlagFilename("filename", "yaml", "yml", "json")
	return c.Flags().StringArrayP("filename", "f", nil, use)
}

// kubeconfigFlag adds --kubeconfig.
func kubeconfigFlag(c *cobra.Command, use string) *string {
	_ = c.MarkFlagFilename("kubeconfig")
	return c.Flags().String("kubeconfig", "", use)
}
