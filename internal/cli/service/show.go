package service

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"

	"weftnet.io/weftnet/internal/cli/mistake"
)

func showCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:   "show NAMESPACE/NAME|ADDRESS:PORT[/PROTOCOL]",
		Short: "Show a service beside what the kernel has of it",
		Long: `show gives a service, its policies, each of its frontends and their backends, and beside them the rows of the
kernel's maps by which programs translate: services (its number and how many slots it has), slots (which
backend each leads to) and backends.

An address with a port stands for the service that has it, a node port at an address of a node, too, or for
the CiliumLocalRedirectPolicy that names it; -n is not asked then.

What table and kernel do not agree about is a fault, and makes the command fail, unless the agent is
writing it at this very moment.`,
		Example: `  weft service show shop/web
  weft service show web -n shop
  weft service show 10.96.0.10:53/udp
  weft service show 169.254.169.254:80
  weft service show shop/web -o json | jq '.frontends[].sides'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return mistake.New("which one? weft service show NAMESPACE/NAME, or ADDRESS:PORT")
			}
			return nil
		},
	}
	namespace := c.Flags().StringP("namespace", "n", "", "namespace of the service, if its name is given alone")
	socket, out := socketFlag(c), newOutput(c, "text", "json", "yaml")
	c.ValidArgsFunction = complete(env, socket)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		of, err := named(args[0], *namespace)
		if err != nil {
			return err
		}
		var d agentv1.ServiceDetail
		if err := env.Get(c.Context(), *socket, agentv1.PathServiceShow+"?"+url.Values{"of": {of}}.Encode(), &d); err != nil {
			return err
		}
		if err := out.print(env.Out, d, func(w io.Writer) error { return printDetail(w, d) }); err != nil {
			return err
		}
		return fault(d.Faults)
	}
	return c
}

// named is the name of a service with its namespace, or an address with a port.
func named(name, namespace string) (string, error) {
	own, _, whole := strings.Cut(name, "/")
	_, err := netip.ParseAddrPort(own)
	switch {
	case err == nil:
		return name, nil
	case whole && namespace != "" && own != namespace:
		return "", mistake.New("%s is not in namespace %s", name, namespace)
	case whole:
		return name, nil
	}
	return cmp.Or(namespace, "default") + "/" + name, nil
}

// fault is the error of an answer in which tables and kernel do not agree.
func fault(faults []string) error {
	var errs []error
	for _, f := range faults {
		errs = append(errs, errors.New(f))
	}
	return errors.Join(errs...)
}

func printDetail(out io.Writer, d agentv1.ServiceDetail) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if d.Policy != "" {
		return printPolicy(w, out, d)
	}
	fmt.Fprintf(w, "Service %s/%s\n", d.Namespace, d.Name)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %s\t%s\n", name, text)
		}
	}
	if d.Headless {
		line("addresses", "none: it is headless, or a name of DNS alone, and nothing is translated")
	}
	line("cluster addresses", strings.Join(d.ClusterIPs, ", "))
	line("external addresses", strings.Join(d.ExternalIPs, ", "))
	line("ports", ports(d.Ports))
	line("session affinity", affinity(d.AffinitySeconds))
	line("internalTrafficPolicy", d.InternalTrafficPolicy)
	line("externalTrafficPolicy", d.ExternalTrafficPolicy+healthChecks(d))
	line("endpoints", endpoints(d))
	return errors.Join(w.Flush(), printFrontends(out, d))
}

// printPolicy prints a policy that leads calls of an address of its own.
func printPolicy(w *tabwriter.Writer, out io.Writer, d agentv1.ServiceDetail) error {
	fmt.Fprintf(w, "CiliumLocalRedirectPolicy %s/%s\n  address\t%s\n  ports\t%s\n", d.Namespace, d.Policy, strings.Join(d.ExternalIPs, ", "), ports(d.Ports))
	return errors.Join(w.Flush(), printFrontends(out, d))
}

func printFrontends(out io.Writer, d agentv1.ServiceDetail) error {
	for _, f := range d.Frontends {
		if err := printFrontend(out, f); err != nil {
			return err
		}
	}
	for _, n := range d.Notes {
		fmt.Fprintf(out, "\nnote: %s\n", n)
	}
	return nil
}

func healthChecks(d agentv1.ServiceDetail) string {
	if d.HealthCheckNodePort == 0 {
		return ""
	}
	return fmt.Sprintf(", health checks at port %d of nodes", d.HealthCheckNodePort)
}

func ports(list []agentv1.ServicePort) string {
	var text []string
	for _, p := range list {
		one := fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.Name != "" {
			one = p.Name + " " + one
		}
		if p.NodePort != 0 {
			one += fmt.Sprintf(" (node port %d)", p.NodePort)
		}
		text = append(text, one)
	}
	return strings.Join(text, ", ")
}

func endpoints(d agentv1.ServiceDetail) string {
	e := d.Endpoints
	text := fmt.Sprintf("%d ready, %d terminating, %d not ready, in %d %s", e.Ready, e.Terminating, e.NotReady, e.Slices, plural("EndpointSlice", e.Slices))
	var selector []string
	for _, key := range slices.Sorted(maps.Keys(d.Selector)) {
		selector = append(selector, key+"="+d.Selector[key])
	}
	if len(selector) > 0 {
		text += ", of pods with " + strings.Join(selector, ",")
	}
	return text
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func printFrontend(out io.Writer, f agentv1.FrontendDetail) error {
	kernel := "not in the kernel"
	if k := f.Kernel; k != nil {
		kernel = fmt.Sprintf("in the kernel number %d, %d %s", k.Service, k.Slots, plural("slot", k.Slots))
		if k.AffinitySeconds > 0 {
			kernel += ", affinity " + affinity(k.AffinitySeconds)
		}
		if k.TableSize > 0 {
			kernel += fmt.Sprintf(", a Maglev table of %d elements", k.TableSize)
		}
	}
	what := string(f.Kind)
	if f.Port == 0 {
		what = "refused"
	}
	if f.Callers == "outside" {
		what += " from outside"
		if f.Mode != "" {
			what += ", to other nodes by " + f.Mode
		}
		if len(f.Sources) > 0 {
			what += ", for " + strings.Join(f.Sources, ", ")
		}
	}
	if f.TableSize > 0 {
		what += fmt.Sprintf(", by %s in a table of %d elements", f.Algorithm, f.TableSize)
	}
	fmt.Fprintf(out, "\n%s  %s  %s\n", frontendName(f.Frontend), what, kernel)
	if len(f.Sides) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  Slot\tBackend\tKernel\tTable\tState")
		for _, s := range f.Sides {
			slot, number := "-", "-"
			if s.Slot != nil {
				slot = fmt.Sprint(*s.Slot)
			}
			if s.Backend != 0 {
				number = fmt.Sprint(s.Backend)
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", slot, number, cmp.Or(s.Kernel, "-"), cmp.Or(s.Table, "-"), cmp.Or(string(s.State), "-"))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	} else if f.Kind == agentv1.KindLocalRedirect {
		fmt.Fprintln(out, "  no pod here is ready: calls go on as they are")
	} else if f.Port != 0 {
		fmt.Fprintln(out, "  no backends: who calls it is refused")
	}
	for _, text := range f.Faults {
		fmt.Fprintf(out, "  FAULT: %s\n", text)
	}
	return nil
}
