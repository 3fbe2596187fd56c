package feature

import (
	"cmp"
	"context"
	"fmt"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/observe"
	"weftnet.io/weftnet/internal/observe/ring"
	"weftnet.io/weftnet/internal/settings"
)

var flows = Feature{
	Name: "flows", Does: "makes flows of the kernel's events and serves them on Hubble's socket",
	Maps: func(n *Node) ([]Runner, error) {
		events, err := ring.Open(n.Datapath.Map("events"))
		if err != nil {
			return nil, err
		}
		o := observe.New(n.Tables, n.DB, observe.Options{
			Node: n.Name, Version: n.Version, Log: n.Log, Lost: ring.LostOf(n.Datapath.Map("event_budget")),
		})
		n.collectors = append(n.collectors, observe.NewCollector(o, ring.CountersOf(n.Datapath.Map("counters"))),
			ring.OutsideOf(n.Datapath.Map("outside_calls")))
		return []Runner{
			{Name: "flows", Run: func(ctx context.Context) error { return o.Run(ctx, events) }},
			{Name: "flow service", Run: func(ctx context.Context) error {
				return configured(ctx, n, n.flowSocket, func(ctx context.Context, socket string) error { return serveFlows(ctx, o, socket) })
			}},
		}, nil
	},
}

// flowSocket is the socket on which flows are served; empty: they are not served.
func (n *Node) flowSocket(c settings.Observation) string {
	if !c.Hubble {
		return ""
	}
	return cmp.Or(n.Hubble, c.HubbleSocket)
}

func serveFlows(ctx context.Context, o *observe.Observer, socket string) error {
	if socket == "" {
		return nil
	}
	listener, err := agentv1.Listen(socket) // for root alone
	if err != nil {
		return fmt.Errorf("serve flows: %w", err)
	}
	return o.Serve(ctx, listener)
}
