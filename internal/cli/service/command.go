package service

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	agentv1 "weftnet.io/weftnet/api/agent/v1"

	"weftnet.io/weftnet/internal/cli/mistake"
)

// Environment is what the commands live in.
type Environment struct {
	Out io.Writer
	Get func(ctx context.Context, socket, path string, into any) error // asks an agent for a document
}

// Command is weft service with all that is below it.
func Command(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Show services, and say what happens to a packet that calls one",
		Long: `service shows what the services of the cluster are on this node: the addresses and ports that the datapath
translates (frontends), what they lead to (backends), and what the kernel's maps say of both.`,
		Example: `  weft service list -n shop
  weft service show shop/web
  weft service trace shop/cart 10.96.0.20:80`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.New("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(listCommand(env), showCommand(env), traceCommand(env))
	return c
}

// output are the forms in which an answer is printed.
type output struct {
	form  *string
	forms []string
}

func newOutput(c *cobra.Command, forms ...string) output {
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	return output{c.Flags().StringP("output", "o", "text", strings.Join(forms, ", ")), forms}
}

func (o output) check() error {
	if !slices.Contains(o.forms, *o.form) {
		return mistake.New("--output %q: must be %s", *o.form, strings.Join(o.forms, ", "))
	}
	return nil
}

// print prints a document as it is, or as text.
func (o output) print(w io.Writer, document any, text func(io.Writer) error) error {
	switch *o.form {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(document)
	case "yaml":
		all, err := yaml.Marshal(document)
		if err == nil {
			_, err = w.Write(all)
		}
		return err
	}
	return text(w)
}

func socketFlag(c *cobra.Command) *string {
	return c.Flags().String("socket", agentv1.Socket, "unix socket of the agent")
}

// complete offers the names of services.
func complete(env Environment, socket *string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
		var list agentv1.ServiceList
		if len(args) == 0 && env.Get(c.Context(), *socket, agentv1.PathServices, &list) == nil {
			for _, f := range list.Frontends {
				names = append(names, f.Namespace+"/"+f.Name)
			}
		}
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}
