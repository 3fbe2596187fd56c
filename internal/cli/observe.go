package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/cli/dial"
	"weftnet.io/weftnet/internal/flow"
)

const (
	hubbleSocket = "unix:///var/run/cilium/hubble.sock"
	usualLast    = 20 // flows, when nothing else is said
)

// observeOptions are the flags of observe that are no filters.
type observeOptions struct {
	server       dial.Flags
	all, follow  bool
	last, first  uint64
	since, until string
	output       string
	timeFormat   string
	color        string
	nodeName     bool
	policyNames  bool
	numeric      bool
}

func observeCommand(env *Environment) *cobra.Command {
	var o observeOptions
	filters := &filterFlags{}
	c := &cobra.Command{
		Use:   "observe",
		Short: "Show flows: what was allowed, denied, dropped and forwarded, and by which policy",
		Long: `observe prints flows of this node, or of all nodes with a relay as --server, oldest first: one line for each
verdict of a policy, each dropped packet, each point that a new connection and its first answer passed, and the end of each connection.

  TIME: SOURCE (IDENTITY) -> DESTINATION (IDENTITY) TYPE VERDICT (SUMMARY)

The arrow points to the left for answers, whose ends are swapped so that the caller stays on the left, and is
<> where it is not known which is the answer. TYPE is policy-verdict:MATCH DIRECTION, the reason of a drop, or the point that was
passed: to-endpoint, to-stack, to-overlay, to-network; or close, whose summary says how a connection ended, after
how long, and what it carried. Times are UTC.

FILTERS  A flow is shown if it matches every kind of filter that is given; of one kind, any value is enough.
--pod, --namespace, --ip, --label, --service, --port and --identity match either end, their --from- and --to-
forms one end. --not negates the filter after it. A pod or service is [NAMESPACE/]PREFIX; without a namespace
(and without --namespace) it is looked for in namespace default, and /PREFIX in all.

WHICH FLOWS  The agent keeps the last few thousand. Without --last, --first, --since, --until, --all or
--follow, the last ` + fmt.Sprint(usualLast) + ` that match are shown.

observe fails if the agent does not answer, or a filter makes no sense. It prints "EVENTS LOST" where the node
had more events than it could keep.`,
		Example: `  # what is denied in namespace shop, as it happens, and by which policies
  weft observe -f -n shop --verdict DENIED --print-policy-names

  # everything that was sent to the database, except probes from the node
  weft observe --all --to-pod shop/db --not --from-identity host

  # drops of the last five minutes that no policy asked for
  weft observe --since 5m --type drop --not --drop-reason-desc POLICY_DENIED

  # connections of the database as they end: how, after how long, packets and bytes each way
  weft observe -f --pod shop/db --type close

  # all nodes of a cluster, by its relay, with kubectl -n kube-system port-forward svc/hubble-relay 4245:80
  weft observe --server 127.0.0.1:4245 -f --print-node-name

  # one agent over the network, which asks for a certificate
  weft observe --server 192.0.2.1:4244 --tls-server-name n1.default.hubble-grpc.cilium.io --tls-ca-cert-files ca.crt \
    --tls-client-cert-file tls.crt --tls-client-key-file tls.key

  # verdicts as JSON, one GetFlowsResponse a line
  weft observe --last 100 --type policy-verdict -o json | jq .flow.verdict`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return observe(c.Context(), env, o, filters) },
	}
	f := c.Flags()
	f.SortFlags = false
	o.server.Register(f, hubbleSocket)
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with flows as they come, until interrupted")
	f.Uint64Var(&o.last, "last", 0, fmt.Sprintf("the last N flows that match (default %d)", usualLast))
	f.Uint64Var(&o.first, "first", 0, "the first N flows that match")
	f.BoolVar(&o.all, "all", false, "all flows that the agent still has")
	f.StringVar(&o.since, "since", "", "flows since a time: how long ago (90s, 5m) or a date (2026-03-01T12:00:00Z, 2026-03-01)")
	f.StringVar(&o.until, "until", "", "flows until a time, in the same form")
	filters.register(c)
	f.StringVarP(&o.output, "output", "o", "compact", "compact, dict, tab, json or jsonpb; the last two are the same")
	f.BoolVar(&o.policyNames, "print-policy-names", false, "name the policies that decided")
	f.BoolVar(&o.nodeName, "print-node-name", false, "name the node that saw the flow")
	f.BoolVar(&o.numeric, "numeric", false, "addresses instead of names of pods and services")
	f.StringVar(&o.timeFormat, "time-format", "StampMilli", "form of times: a layout that Hubble has, e.g. RFC3339, RFC3339Nano")
	f.StringVar(&o.color, "color", "auto", "auto, always or never (compact and dict only)")
	for name, values := range map[string][]string{
		"output": {"compact", "dict", "tab", "json", "jsonpb"}, "color": {"auto", "always", "never"}, "time-format": timeFormats(),
	} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return c
}

func observe(ctx context.Context, env *Environment, o observeOptions, filters *filterFlags) error {
	request, err := o.request(env.Now())
	if err == nil {
		request.Whitelist, request.Blacklist, err = filters.filters()
	}
	var printing flow.PrinterOptions
	if err == nil {
		printing, err = o.printing(env)
	}
	if err != nil {
		return usageError{err}
	}
	conn, err := o.server.Dial()
	if err != nil {
		return usageError{err}
	}
	defer conn.Close()
	stream, err := observerpb.NewObserverClient(conn).GetFlows(ctx, request)
	if err != nil {
		return explain(o.server.Server, err)
	}
	p := flow.NewPrinter(env.Out, printing)
	for {
		r, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF), err != nil && ctx.Err() != nil:
			return p.Close()
		case err != nil:
			return errors.Join(p.Close(), explain(o.server.Server, err))
		}
		if err := p.Print(r); err != nil {
			return fmt.Errorf("print flow: %w", err)
		}
	}
}

// recorded reads all flows that a server has of a time.
func recorded(ctx context.Context, o observeOptions, now time.Time, each func(*flowpb.Flow) error) error {
	request, err := o.request(now)
	if err != nil {
		return usageError{err}
	}
	conn, err := o.server.Dial()
	if err != nil {
		return usageError{err}
	}
	defer conn.Close()
	stream, err := observerpb.NewObserverClient(conn).GetFlows(ctx, request)
	for err == nil {
		var r *observerpb.GetFlowsResponse
		if r, err = stream.Recv(); err == nil && r.GetFlow() != nil {
			if err := each(r.GetFlow()); err != nil {
				return err
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return explain(o.server.Server, err)
}

// explain makes a sentence of a gRPC error.
func explain(server string, err error) error {
	s, _ := status.FromError(err)
	switch s.Code() {
	case codes.Unavailable:
		path, local := strings.CutPrefix(server, "unix://")
		if !local {
			return fmt.Errorf("no flows from %s: %s", server, s.Message())
		}
		c, cause := net.Dial("unix", path)
		if cause == nil {
			c.Close()
			return fmt.Errorf("no flows from %s: %s", server, s.Message())
		}
		hint := advice(cause)
		if strings.Contains(hint, "kubectl") {
			hint += ", and is enable-hubble true? (weft status)"
		}
		return fmt.Errorf("no flows from %s: %w%s", path, root(cause), hint)
	case codes.InvalidArgument, codes.Unimplemented:
		return errors.New(s.Message())
	}
	return fmt.Errorf("no flows from %s: %s", server, s.Message())
}

// request is GetFlows without its filters.
func (o observeOptions) request(now time.Time) (*observerpb.GetFlowsRequest, error) {
	var said []string
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--last", o.last > 0}, {"--first", o.first > 0}, {"--all", o.all}} {
		if flag.set {
			said = append(said, flag.name)
		}
	}
	if len(said) > 1 {
		return nil, fmt.Errorf("%s exclude each other", strings.Join(said, " and "))
	}
	if o.first > 0 && o.follow {
		return nil, errors.New("--first and --follow exclude each other")
	}
	r := &observerpb.GetFlowsRequest{Follow: o.follow, First: o.first > 0, Number: max(o.first, o.last)}
	for _, bound := range []struct {
		name, text string
		at         **timestamppb.Timestamp
	}{{"--since", o.since, &r.Since}, {"--until", o.until, &r.Until}} {
		if bound.text == "" {
			continue
		}
		at, err := parseTime(bound.text, now)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bound.name, err)
		}
		*bound.at = timestamppb.New(at)
	}
	switch {
	case o.all:
		r.Number = math.MaxUint64
	case r.Number == 0 && !o.follow && r.Since == nil && r.Until == nil:
		r.Number = usualLast
	}
	return r, nil
}

func (o observeOptions) printing(env *Environment) (flow.PrinterOptions, error) {
	p := flow.PrinterOptions{
		Output: flow.Output(o.output), Errors: env.Err, NodeName: o.nodeName, PolicyNames: o.policyNames, IPTranslation: !o.numeric,
	}
	switch o.output {
	case "compact", "dict", "json":
	case "tab", "table":
		if o.follow {
			return p, errors.New("--output tab needs an end to align its columns: not with --follow")
		}
		p.Output = flow.Tab
	case "jsonpb":
		p.Output = flow.JSON
	default:
		return p, fmt.Errorf("--output %q: must be compact, dict, tab, json or jsonpb", o.output)
	}
	switch o.color {
	case "auto":
		p.Color = env.Terminal
	case "always", "never":
		p.Color = o.color == "always"
	default:
		return p, fmt.Errorf("--color %q: must be auto, always or never", o.color)
	}
	i := slices.IndexFunc(timeLayouts, func(l layout) bool { return strings.EqualFold(l.name, o.timeFormat) })
	if i < 0 {
		return p, fmt.Errorf("--time-format %q: must be one of %s", o.timeFormat, strings.Join(timeFormats(), ", "))
	}
	p.TimeFormat = timeLayouts[i].layout
	return p, nil
}

// layout is a form of times, as Hubble names it.
type layout struct{ name, layout string }

var timeLayouts = []layout{
	{"StampMilli", time.StampMilli},
	{"YearMonthDay", "2006-01-02"},
	{"YearMonthDayHour", "2006-01-02T15Z07:00"},
	{"YearMonthDayHourMinute", "2006-01-02T15:04Z07:00"},
	{"RFC3339", time.RFC3339},
	{"RFC3339Milli", "2006-01-02T15:04:05.999Z07:00"},
	{"RFC3339Micro", "2006-01-02T15:04:05.999999Z07:00"},
	{"RFC3339Nano", time.RFC3339Nano},
	{"RFC1123Z", time.RFC1123Z},
}

func timeFormats() []string {
	var names []string
	for _, l := range timeLayouts {
		names = append(names, l.name)
	}
	return names
}

// parseTime reads how long ago, or a date.
func parseTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, l := range timeLayouts[1:] { // StampMilli has no year
		if t, err := time.Parse(l.layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither how long ago (90s, 5m, 2h) nor a date (2026-03-01, 2026-03-01T12:00:00Z)", text)
}
