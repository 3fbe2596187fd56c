package service

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/explain/service"
	"weftnet.io/weftnet/internal/explain/service/filter"
)

func listCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the addresses and ports that are translated, with who serves them",
		Long: `list shows one line for each frontend: an address, a port and a protocol that the datapath of this node
translates. A NodePort is offered at every address of every node, and stands at 0.0.0.0 and ::. A LocalRedirect
is an address that a CiliumLocalRedirectPolicy names, which no Service has.

Callers says for whose calls the line is: cluster (pods and processes of this node), outside (machines that
reach this node by its devices), here (both, at addresses of this node: a HostPort), behind (calls that a
redirect does not take). Mode is how a call from outside goes on to a backend of another node: snat, or dsr.
A backend that is terminating, or far (others are nearer), keeps its connections and gets no new ones.

Filters of one name add up; those of different names must all hold. Text names the first three backends of
a frontend, -o wide all of them, and whether the kernel has the frontend as it is.`,
		Example: `  weft service list
  weft service list -n shop -o wide
  weft service list --ip 10.96.0.10 --port 53
  weft service list --backend 10.244.1.7
  weft service list -o json | jq '.frontends[] | select(.backends == [])'`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return mistake.New("%q is no flag; services are chosen by --service %s", args[0], args[0])
			}
			return nil
		},
	}
	query := url.Values{}
	for name, text := range map[string]string{
		"service": "of services with this name: [NAMESPACE/]PREFIX", "ip": "at this address, or at those of a prefix",
		"port": "at this port", "protocol": "tcp, udp or sctp", "backend": "that lead to this address, or to those of a prefix",
	} {
		c.Flags().Var(&condition{query: query, name: name}, name, text)
	}
	c.Flags().VarP(&condition{query: query, name: "namespace"}, "namespace", "n", "of services of this namespace")
	socket, out := socketFlag(c), newOutput(c, "text", "wide", "json", "yaml")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		if _, err := filter.Parse(query); err != nil {
			return mistake.Of(err)
		}
		var list agentv1.ServiceList
		if err := env.Get(c.Context(), *socket, agentv1.PathServices+"?"+query.Encode(), &list); err != nil {
			return err
		}
		if err := out.print(env.Out, list, func(w io.Writer) error { return printList(w, list, *out.form == "wide") }); err != nil {
			return err
		}
		return unwritten(list)
	}
	return c
}

// condition is a flag that may stand several times, and goes into the query.
type condition struct {
	query url.Values
	name  string
}

func (c *condition) String() string        { return "" }
func (c *condition) Type() string          { return "string" }
func (c *condition) Set(text string) error { c.query.Add(c.name, text); return nil }

// unwritten is the error of a list with frontends that the agent cannot write to the kernel.
func unwritten(list agentv1.ServiceList) error {
	n, first := 0, ""
	for _, f := range list.Frontends {
		if f.Error == "" {
			continue
		}
		if n++; n == 1 {
			first = fmt.Sprintf("%s of %s/%s: %s", frontendName(f), f.Namespace, f.Name, f.Error)
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("the kernel does not have %d of these frontends as they should be, of which %s", n, first)
}

// few is how many backends of a frontend text names.
const few = 3

func printList(out io.Writer, list agentv1.ServiceList, wide bool) error {
	if len(list.Frontends) == 0 {
		_, err := fmt.Fprintf(out, "none of %d frontends\n", list.Total)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "Service\tFrontend\tKind\tCallers\tMode\tAffinity\tBackends"
	if wide {
		head = "Service\tFrontend\tKind\tCallers\tMode\tAffinity\tSources\tKernel\tBackends"
	}
	fmt.Fprintln(w, head)
	for _, f := range list.Frontends {
		fmt.Fprintf(w, "%s/%s\t%s\t%s\t%s\t%s\t%s\t", f.Namespace, f.Name, frontendName(f), kindText(f), f.Callers, cmp.Or(f.Mode, "-"), affinity(f.AffinitySeconds))
		most := few
		if wide {
			most = len(f.Backends)
			fmt.Fprintf(w, "%s\t%s\t", cmp.Or(strings.Join(f.Sources, ","), "all"), kernelState(f))
		}
		fmt.Fprintln(w, backends(f.Backends, most))
	}
	return w.Flush()
}

// kindText is the kind of a frontend, with the policy that leads it elsewhere.
func kindText(f agentv1.Frontend) string {
	if f.Redirect == "" || f.Kind == agentv1.KindLocalRedirect {
		return string(f.Kind)
	}
	return fmt.Sprintf("%s (redirected by %s)", f.Kind, f.Redirect)
}

// frontendName is 10.96.0.10:53/udp.
func frontendName(f agentv1.Frontend) string {
	if f.Port == 0 {
		return f.Address + ", whatever is no port of the service"
	}
	return net.JoinHostPort(f.Address, strconv.Itoa(int(f.Port))) + "/" + f.Protocol
}

func affinity(seconds uint32) string {
	if seconds == 0 {
		return "-"
	}
	return service.Seconds(seconds)
}

func kernelState(f agentv1.Frontend) string {
	if f.InPlace {
		return "in place"
	}
	return cmp.Or(f.Error, "on its way")
}

// backends names so many of them, and says how many more there are.
func backends(list []agentv1.Backend, most int) string {
	if len(list) == 0 {
		return "none"
	}
	var text []string
	for _, b := range list[:min(most, len(list))] {
		one := net.JoinHostPort(b.Address, strconv.Itoa(int(b.Port)))
		if b.State != agentv1.BackendActive {
			one += " " + string(b.State)
		}
		text = append(text, one)
	}
	if more := len(list) - most; more > 0 {
		text = append(text, fmt.Sprintf("%d more", more))
	}
	return strings.Join(text, ", ")
}
