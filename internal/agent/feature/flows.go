package feature

import (
	"cmp"
	"context"
	"fmt"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/observe"
)

var flows = Feature{
	Name: "flows", Does: "makes flows of the kernel's events and serves them on Hubble's socket",
	Maps: func(n *Node) ([]Runner, error) {
		ring, err := observe.OpenRing(n.Datapath.Map("events"))
		if err != nil {
			return nil, err
		}
		o := observe.New(n.Tables, n.DB, observe.Options{
			Node: n.Name, Cluster: n.Config.ClusterName, Version: n.Version, Log: n.Log, Lost: observe.LostOf(n.Datapath.Map("event_budget")),
		})
		n.collectors = append(n.collectors, observe.NewCollector(o, observe.CountersOf(n.Datapath.Map("counters"))))
		runners := []Runner{{Name: "flows", Run: func(ctx context.Context) error { return o.Run(ctx, ring) }}}
		if !n.Config.Hubble {
			return runners, nil
		}
		listener, err := agentv1.Listen(cmp.Or(n.Hubble, n.Config.HubbleSocket)) // for root alone
		if err != nil {
			return nil, fmt.Errorf("serve flows: %w", err)
		}
		return append(runners, Runner{Name: "flow service", Run: func(ctx context.Context) error { return o.Serve(ctx, listener) }}), nil
	},
}
