package feature

import (
	"cmp"
	"context"

	agentflows "weftnet.io/weftnet/internal/agent/flows"
	"weftnet.io/weftnet/internal/settings"
)

var flows = Feature{
	Name: "flows", Does: "makes flows of the kernel's events and serves them, as Hubble does, on a socket and over the network",
	Maps: func(n *Node) ([]Runner, error) {
		f, err := agentflows.New(agentflows.Node{Name: n.Name, Version: n.Version, Tables: n.Tables, DB: n.DB, Datapath: n.Datapath, Log: n.Log})
		if err != nil {
			return nil, err
		}
		n.collectors = append(n.collectors, f.Collectors()...)
		return append([]Runner{{Name: "flows", Run: f.Run}}, serveFlows(n, f)...), nil
	},
}

func serveFlows(n *Node, f *agentflows.Flows) []Runner {
	return []Runner{
		{Name: "flow service", Run: func(ctx context.Context) error { return configured(ctx, n, n.flowSocket, f.Socket) }},
		{Name: "flow service over the network", Run: func(ctx context.Context) error { return configured(ctx, n, flowService, f.Network) }},
	}
}

// flowSocket is the socket on which flows are served; empty: they are not served.
func (n *Node) flowSocket(c settings.Observation) string {
	if !c.Hubble {
		return ""
	}
	return cmp.Or(n.Hubble, c.HubbleSocket)
}

// flowService says where flows are served over the network.
func flowService(c settings.Observation) settings.FlowService {
	if !c.Hubble {
		return settings.FlowService{}
	}
	return c.FlowService
}
