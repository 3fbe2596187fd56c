package service

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"

	"weftnet.io/weftnet/internal/cli/mistake"
)

func traceCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "trace NAMESPACE/POD|ADDRESS|host ADDRESS:PORT [tcp|udp|sctp]",
		Short: "Say what happens to a packet that calls a service",
		Long: `trace follows the first packet of a call: which frontend it finds, whether its client keeps a backend, which
backends it may get and with which chance, how it gets there, and what policies say of that; or why it is
refused, and what the caller hears. What the tables of the agent say and what the kernel's maps say stand
beside each other; where they do not agree that is a fault, and the command fails.

It is about a new connection. One that is open keeps the backend that it has.

Asked is the agent of the node that the caller is on: backends that are local, affinity and the kernel's maps
are those of a node.`,
		Example: `  weft service trace shop/web 10.96.0.10:53 udp
  weft service trace 10.244.1.5 '[fd00:96::20]:80'
  weft service trace shop/web 192.168.0.2:30080
  weft service trace shop/web 10.96.0.10:53/udp -o json | jq .backends`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) < 2 || len(args) > 3:
				return mistake.New("from where to where? weft service trace NAMESPACE/POD ADDRESS:PORT [tcp|udp|sctp]")
			case len(args) == 3 && !slices.Contains([]string{"tcp", "udp", "sctp"}, args[2]):
				return mistake.New("protocol %q is not one of tcp, udp, sctp", args[2])
			}
			return nil
		},
	}
	socket, out := socketFlag(c), newOutput(c, "text", "json", "yaml")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		query := url.Values{"from": {args[0]}, "to": {args[1]}}
		if len(args) == 3 {
			query.Set("protocol", args[2])
		}
		var t agentv1.ServiceTrace
		if err := env.Get(c.Context(), *socket, agentv1.PathServiceTrace+"?"+query.Encode(), &t); err != nil {
			return err
		}
		if err := out.print(env.Out, t, func(w io.Writer) error { return printTrace(w, t) }); err != nil {
			return err
		}
		return fault(t.Faults)
	}
	return c
}

// most is how many backends of a trace text names.
const most = 10

func printTrace(out io.Writer, t agentv1.ServiceTrace) error {
	fmt.Fprintf(out, "%s calls %s, on node %s\n\n", t.From, t.To, cmp.Or(t.Node, "that has no name yet"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range t.Steps {
		if s.Kernel == "" {
			fmt.Fprintf(w, "  %s\t\t%s\n", s.Step, s.Table)
			continue
		}
		fmt.Fprintf(w, "  %s\ttable\t%s\n  \tkernel\t%s\n", s.Step, s.Table, s.Kernel)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	word := map[agentv1.TraceOutcome]string{
		agentv1.TraceTranslated: "TRANSLATED", agentv1.TraceRefused: "REFUSED", agentv1.TracePlain: "NOT TRANSLATED", agentv1.TraceElsewhere: "NOT TRANSLATED HERE",
	}[t.Outcome]
	fmt.Fprintf(out, "\n%s: %s\n", word, t.Why)
	if t.Hears != "" {
		fmt.Fprintf(out, "  the caller hears %s\n", t.Hears)
	}
	for _, b := range t.Backends[:min(most, len(t.Backends))] {
		printReach(out, b, t.Outcome == agentv1.TraceTranslated)
	}
	if more := len(t.Backends) - most; more > 0 {
		fmt.Fprintf(out, "\n%d more: -o json has all\n", more)
	}
	for _, n := range t.Notes {
		fmt.Fprintf(out, "\nnote: %s\n", n)
	}
	for i, f := range t.Faults {
		fmt.Fprintf(out, "%sFAULT: %s\n", [...]string{"\n", ""}[min(i, 1)], f)
	}
	return nil
}

// printReach prints where the packet may go.
func printReach(out io.Writer, b agentv1.TraceBackend, isBackend bool) {
	line := b.Address
	if isBackend {
		line += "  " + percent(b.Chance)
	}
	if p := b.Policy; p != nil && p.To.Name != "" {
		line += "  " + p.To.Name
	}
	fmt.Fprintf(out, "\n%s\n  %s\n", line, b.Path)
	if b.Note != "" {
		fmt.Fprintf(out, "  %s\n", b.Note)
	}
	p := b.Policy
	if p == nil {
		return
	}
	verdict := "allowed by policy"
	if !p.Allowed {
		verdict = "DENIED by policy"
	}
	fmt.Fprintf(out, "  %s\n", verdict)
	for _, side := range []struct {
		name string
		agentv1.PolicySide
	}{{"egress of " + p.From.Name, p.Egress}, {"ingress of " + p.To.Name, p.Ingress}} {
		why := side.Reason
		if len(side.Rules) > 0 {
			why = strings.Join(side.Rules, ", ")
			if side.Verdict == "deny-implicit" {
				why = "isolated by " + why
			}
		}
		fmt.Fprintf(out, "    %s: %s, %s\n", side.name, side.Verdict, why)
	}
}

func percent(chance float64) string {
	text := fmt.Sprintf("%.1f", 100*chance)
	return strings.TrimSuffix(text, ".0") + " %"
}
