package observe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	peerpb "github.com/cilium/cilium/api/v1/peer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"weftnet.io/weftnet/internal/cli/dial"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/version"
)

// served is the name under which servers tell of the health of flows; no service has it (cilium pkg/hubble/api/v1).
const served = "hubble.server.Observer"

// patience is how long a server may take for one answer; Hubble's.
const patience = 12 * time.Second

// Hubble are the commands of Hubble's client.
func Hubble(env Environment) []*cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List nodes, or namespaces with flows", Args: noArguments, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	list.AddCommand(nodesCommand(env), namespacesCommand(env))
	watch := &cobra.Command{Use: "watch", Short: "Watch nodes that serve flows", Args: noArguments, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	watch.AddCommand(peersCommand(env))
	return []*cobra.Command{Command(env), statusCommand(env), list, watch, versionCommand(env)}
}

// asking makes a command that asks one thing of a server.
func asking(c *cobra.Command, env Environment, outputs []string, ask func(context.Context, *grpc.ClientConn, string) error) *cobra.Command {
	var server dial.Flags
	c.Args = noArguments
	c.Flags().SortFlags = false
	server.Register(c.Flags(), env.server())
	output := new(string)
	if len(outputs) > 0 {
		c.Flags().StringVarP(output, "output", "o", outputs[0], strings.Join(outputs, ", "))
		_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(outputs) > 0 && !slices.Contains(outputs, *output) {
			return mistake.New("--output %q: must be %s", *output, strings.Join(outputs, ", "))
		}
		conn, err := server.Dial()
		if err != nil {
			return mistake.Of(err)
		}
		defer conn.Close()
		if err := ask(c.Context(), conn, *output); err != nil {
			return explain(server.Server, err)
		}
		return nil
	}
	return c
}

// errUnhealthy is a server that says of itself that it does not serve.
var errUnhealthy = errors.New("not healthy")

func statusCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show whether flows are served, and how many there are",
		Long: `status asks the server how it is: whether it serves, how many flows it keeps and sees, and with a relay, how many
nodes it is connected to. It fails if the server does not answer, or does not serve.`,
	}
	return asking(c, env, []string{"compact", "dict", "json", "table"}, func(ctx context.Context, conn *grpc.ClientConn, output string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: served})
		if err != nil {
			return err
		}
		state := "Ok"
		if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			state = "Unavailable: " + answer.GetStatus().String()
		}
		if output == "compact" {
			fmt.Fprintf(env.Out, "Healthcheck (via %s): %s\n", conn.Target(), state)
		}
		if state != "Ok" {
			return errUnhealthy
		}
		s, err := observerpb.NewObserverClient(conn).ServerStatus(ctx, &observerpb.ServerStatusRequest{})
		if err != nil {
			return err
		}
		return printStatus(env.Out, s, output)
	})
}

func printStatus(out io.Writer, s *observerpb.ServerStatusResponse, output string) error {
	rate := "N/A"
	if s.GetFlowsRate() > 0 {
		rate = fmt.Sprintf("%.2f", s.GetFlowsRate())
	}
	connected, unavailable := "N/A", "N/A"
	if n := s.GetNumConnectedNodes(); n != nil {
		connected = fmt.Sprint(n.GetValue())
	}
	if n := s.GetNumUnavailableNodes(); n != nil {
		unavailable = fmt.Sprint(n.GetValue())
	}
	cells := [][2]string{
		{"NUM FLOWS", grouped(s.GetNumFlows())},
		{"MAX FLOWS", grouped(s.GetMaxFlows())},
		{"SEEN FLOWS", grouped(s.GetSeenFlows())},
		{"FLOWS PER SECOND", rate},
		{"UPTIME", time.Duration(s.GetUptimeNs()).String()},
		{"NUM CONNECTED NODES", connected},
		{"NUM UNAVAIL. NODES", unavailable},
		{"VERSION", s.GetVersion()},
	}
	switch output {
	case "json":
		return json.NewEncoder(out).Encode(s)
	case "dict":
		for _, c := range cells {
			fmt.Fprintf(out, "%19s: %s\n", c[0], c[1])
		}
		return nil
	case "table":
		cells[6][0] = "NUM UNAVAILABLE NODES"
		var head, row []string
		for _, c := range cells {
			head, row = append(head, c[0]), append(row, c[1])
		}
		return printTable(out, head, row)
	}
	return printBrief(out, s, rate)
}

func printBrief(out io.Writer, s *observerpb.ServerStatusResponse, rate string) error {
	share := ""
	if s.GetMaxFlows() > 0 {
		share = fmt.Sprintf(" (%.2f%%)", float64(s.GetNumFlows())/float64(s.GetMaxFlows())*100)
	}
	if up := time.Duration(s.GetUptimeNs()).Seconds(); rate == "N/A" && up > 0 {
		rate = fmt.Sprintf("%.2f", float64(s.GetSeenFlows())/up)
	}
	fmt.Fprintf(out, "Current/Max Flows: %s/%s%s\nFlows/s: %s\n", grouped(s.GetNumFlows()), grouped(s.GetMaxFlows()), share, rate)
	away := s.GetNumUnavailableNodes()
	if n := s.GetNumConnectedNodes(); n != nil {
		total := ""
		if away != nil {
			total = fmt.Sprintf("/%d", away.GetValue()+n.GetValue())
		}
		fmt.Fprintf(out, "Connected Nodes: %d%s\n", n.GetValue(), total)
	}
	if away.GetValue() == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "Unavailable Nodes: %d\n", away.GetValue())
	names := slices.Sorted(slices.Values(s.GetUnavailableNodes()))
	if more := int(away.GetValue()) - len(names); len(names) > 0 && more > 0 {
		names = append(names, fmt.Sprintf("and %d more...", more))
	}
	for _, name := range names {
		_, err = fmt.Fprintf(out, "  - %s\n", name)
	}
	return err
}

// grouped has a comma after each three digits.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func printTable(out io.Writer, rows ...[]string) error {
	w := tabwriter.NewWriter(out, 2, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func printDocument(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

var states = map[relaypb.NodeState]string{
	relaypb.NodeState_NODE_CONNECTED: "Connected", relaypb.NodeState_NODE_UNAVAILABLE: "Unavailable", relaypb.NodeState_NODE_GONE: "Gone", relaypb.NodeState_NODE_ERROR: "Error",
}

func nodesCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use: "nodes", Aliases: []string{"node"}, Short: "List nodes whose flows are served",
		Long: "nodes lists the nodes that the server gives flows of: an agent its own, a relay all that it knows.",
	}
	return asking(c, env, []string{"table", "wide", "json"}, func(ctx context.Context, conn *grpc.ClientConn, output string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		r, err := observerpb.NewObserverClient(conn).GetNodes(ctx, &observerpb.GetNodesRequest{})
		if err != nil {
			return err
		}
		slices.SortFunc(r.GetNodes(), func(a, b *observerpb.Node) int { return cmp.Compare(a.GetName(), b.GetName()) })
		if output == "json" {
			return printDocument(env.Out, r.GetNodes())
		}
		rows := [][]string{{"NAME", "STATUS", "AGE", "FLOWS/S", "CURRENT/MAX-FLOWS"}}
		if output == "wide" {
			rows[0] = append(rows[0], "VERSION", "ADDRESS", "TLS")
		}
		for _, n := range r.GetNodes() {
			rows = append(rows, nodeRow(n, output == "wide"))
		}
		return printTable(env.Out, rows...)
	})
}

func nodeRow(n *observerpb.Node, wide bool) []string {
	const unknown = "N/A"
	age, rate, share := unknown, unknown, unknown
	if up := time.Duration(n.GetUptimeNs()).Round(time.Second); up > 0 {
		age, rate = up.String(), fmt.Sprintf("%.2f", float64(n.GetSeenFlows())/up.Seconds())
	}
	if most := n.GetMaxFlows(); most > 0 {
		share = fmt.Sprintf("%d/%d (%6.2f%%)", n.GetNumFlows(), most, float64(n.GetNumFlows())/float64(most)*100)
	}
	row := []string{n.GetName(), cmp.Or(states[n.GetState()], "Unknown"), age, rate, share}
	if !wide {
		return row
	}
	tls := unknown
	if t := n.GetTls(); t != nil {
		tls = "Disabled"
		if t.GetEnabled() {
			tls = "Enabled"
		}
	}
	return append(row, cmp.Or(n.GetVersion(), unknown), n.GetAddress(), tls)
}

func namespacesCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use: "namespaces", Aliases: []string{"namespace"}, Short: "List namespaces that had flows lately",
		Long: "namespaces lists the namespaces that had flows within the last hour.",
	}
	return asking(c, env, []string{"table", "wide", "json"}, func(ctx context.Context, conn *grpc.ClientConn, output string) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		r, err := observerpb.NewObserverClient(conn).GetNamespaces(ctx, &observerpb.GetNamespacesRequest{})
		if err != nil {
			return err
		}
		if output == "json" {
			return printDocument(env.Out, r.GetNamespaces())
		}
		rows := [][]string{{"NAMESPACE"}}
		if output == "wide" {
			rows[0] = append(rows[0], "CLUSTER")
		}
		for _, n := range r.GetNamespaces() {
			row := []string{n.GetNamespace()}
			if output == "wide" && n.GetCluster() != "" {
				row = append(row, n.GetCluster())
			}
			rows = append(rows, row)
		}
		return printTable(env.Out, rows...)
	})
}

func peersCommand(env Environment) *cobra.Command {
	c := &cobra.Command{
		Use: "peers", Aliases: []string{"peer"}, Short: "Print nodes that serve flows as they come and go",
		Long: "peers prints what an agent tells relays: which nodes serve flows, where, and by which name of a certificate; and changes, until interrupted.",
	}
	return asking(c, env, nil, func(ctx context.Context, conn *grpc.ClientConn, _ string) error {
		s, err := peerpb.NewPeerClient(conn).Notify(ctx, &peerpb.NotifyRequest{})
		for err == nil {
			var r *peerpb.ChangeNotification
			if r, err = s.Recv(); err == nil {
				name := ""
				if r.GetTls() != nil {
					name = fmt.Sprintf(" (TLS.ServerName: %s)", r.GetTls().GetServerName())
				}
				fmt.Fprintf(env.Out, "%-12s %s %s%s\n", r.GetType(), r.GetAddress(), r.GetName(), name)
			}
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		return err
	})
}

func versionCommand(env Environment) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: noArguments,
		Long: "version prints the version of this program, which is weft by another name, of the Go release that built it, and for which machine.",
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(env.Out, version.Line("hubble"))
			return err
		},
	}
}
