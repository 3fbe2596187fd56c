package observe

import (
	"context"
	"errors"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/flow"
)

func agentCommand(env Environment) *cobra.Command {
	return eventsCommand(env, "agent-events", "Show what the agent did: policies, endpoints, addresses and services that came, changed and went",
		`agent-events prints what the agent of this node did, oldest first. Without --last, --first, --since, --until, --all or --follow, the
last 20 are shown.

  TIME: TYPE (DETAILS)`,
		func(ctx context.Context, o *options, r *observerpb.GetFlowsRequest, p *flow.Printer) error {
			return stream(ctx, o.server, func(ctx context.Context, c observerpb.ObserverClient) (grpc.ServerStreamingClient[observerpb.GetAgentEventsResponse], error) {
				return c.GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{Number: r.GetNumber(), First: r.GetFirst(), Follow: r.GetFollow(), Since: r.GetSince(), Until: r.GetUntil()})
			}, p.PrintAgentEvent)
		})
}

func debugCommand(env Environment) *cobra.Command {
	return eventsCommand(env, "debug-events", "Show debug events of a datapath that has some",
		`debug-events prints debug events of a datapath, as Cilium's has them. Weftnet's has none, and its agents answer with none; the
command is here for agents of others.`,
		func(ctx context.Context, o *options, r *observerpb.GetFlowsRequest, p *flow.Printer) error {
			return stream(ctx, o.server, func(ctx context.Context, c observerpb.ObserverClient) (grpc.ServerStreamingClient[observerpb.GetDebugEventsResponse], error) {
				return c.GetDebugEvents(ctx, &observerpb.GetDebugEventsRequest{Number: r.GetNumber(), First: r.GetFirst(), Follow: r.GetFollow(), Since: r.GetSince(), Until: r.GetUntil()})
			}, p.PrintDebugEvent)
		})
}

func eventsCommand(env Environment, name, short, long string, run func(context.Context, *options, *observerpb.GetFlowsRequest, *flow.Printer) error) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: name, Short: short, Long: long, Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := o.flows(env.Now(), false)
			var printing flow.PrinterOptions
			if err == nil {
				printing, err = o.printing(env, o.follow)
			}
			if err != nil {
				return mistake.Of(err)
			}
			p := flow.NewPrinter(env.Out, printing)
			err = run(c.Context(), &o, r, p)
			return errors.Join(p.Close(), err)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	o.server.Register(f, env.server())
	o.server.Notes = env.Err
	o.span.register(f)
	o.format.register(c, false)
	o.silence(f)
	return c
}
