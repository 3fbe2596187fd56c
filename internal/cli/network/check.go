package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"weftnet.io/weftnet/internal/cli/manifests"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/tally"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/lint/network"
	"weftnet.io/weftnet/internal/manifest"
)

// Environment is what the commands live in.
type Environment struct {
	In  io.Reader
	Out io.Writer
	Get func(ctx context.Context, socket, path string, into any) error // asks an agent for a document
}

// Command is weft net with all that is below it.
func Command(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "net",
		Short: "Show the NICs of pods, and check further networks before they are applied",
		Long:  `net is about networks that pods and virtual machines have beside the pod network: NetworkAttachmentDefinitions, and what asks for them.`,
		Example: `  weft net list
  weft net show shop/web
  weft net check -f networks/`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.New("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(listCommand(env), showCommand(env), checkCommand(env))
	return c
}

func checkCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "check -f FILE…",
		Short: "Say what is wrong with networks, and with what asks for them, before they are applied",
		Long: `check reads NetworkAttachmentDefinitions, the additionalNetworks of an OpenShift cluster, and what asks for networks: pods,
Deployments and their kin (annotation k8s.v1.cni.cncf.io/networks), VirtualMachines. It needs no cluster: all files together are taken for
one.

A finding says where (file:line:column), what is there and what comes of it, what was probably meant, and what mends it:
  error     a pod would not start, or the API server, KubeVirt or Multus would refuse the object
  warning   it is taken, and does not do what it seems to
  hint      it may be meant so

Exit status: 0 if nothing is as bad as --fail-on says; 1 if something is, or a file cannot be read; 2 if the command line makes
no sense.`,
		Example: `  weft net check -f networks/ -f vms/
  weft net check -f vm.yaml -f networks.yaml --fail-on warning
  kubectl get net-attach-def -A -o yaml | weft net check -f - -f vm.yaml -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.New("%q is no flag; files are given with -f", args[0])
			}
			return nil
		},
	}
	files := c.Flags().StringArrayP("filename", "f", nil, "file, folder or - for standard input; may be repeated")
	_ = c.MarkFlagFilename("filename", "yaml", "yml", "json")
	output := c.Flags().StringP("output", "o", "text", "text or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	failOn := c.Flags().String("fail-on", string(lint.Error), "exit with 1 if a finding is at least this bad: error, warning or hint")
	_ = c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"error", "warning", "hint"}, cobra.ShellCompDirectiveNoFileComp))
	quiet := c.Flags().BoolP("quiet", "q", false, "leave out hints")
	c.RunE = func(*cobra.Command, []string) error {
		limit := lint.Severity(*failOn)
		switch {
		case *output != "text" && *output != "json":
			return mistake.New("--output %q: must be text or json", *output)
		case !slices.Contains(lint.Severities, limit):
			return mistake.New("--fail-on %q: must be error, warning or hint", *failOn)
		case len(*files) == 0:
			return mistake.New("which files? -f FILE, -f FOLDER or -f -")
		}
		objects, problems, err := manifests.Read(env.In, *files)
		if err != nil {
			return err
		}
		findings := network.Check(objects, problems)
		findings = slices.DeleteFunc(findings, func(f lint.Finding) bool { return *quiet && f.Severity == lint.Hint })
		said := tally.Findings(findings, tally.Of(count(objects), "object", "objects"))
		if err := show(env.Out, *output, findings, said, count(objects)); err != nil {
			return err
		}
		if slices.ContainsFunc(findings, func(f lint.Finding) bool { return f.Severity.AtLeast(limit) }) {
			return errors.New(said)
		}
		return nil
	}
	return c
}

func count(objects []*manifest.Object) (n int) {
	for _, o := range objects {
		if network.IsChecked(o) {
			n++
		}
	}
	return n
}

func show(out io.Writer, output string, findings []lint.Finding, said string, objects int) error {
	if output == "json" {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Objects  int            `json:"objects"`
			Findings []lint.Finding `json:"findings"`
		}{objects, append([]lint.Finding{}, findings...)})
	}
	for _, f := range findings {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return err
		}
	}
	if len(findings) == 0 {
		_, err := fmt.Fprintln(out, said)
		return err
	}
	return nil
}
