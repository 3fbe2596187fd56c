package feature

import (
	"cmp"
	"context"

	agentflows "weftnet.io/weftnet/internal/agent/flows"
	"weftnet.io/weftnet/internal/agent/scrape"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/sink/link/record"
)

var flows = Feature{
	Name: "flows", Does: "makes flows of the kernel's events and serves them, as Hubble does, on a socket and over the network",
	Maps: func(n *Node) ([]Runner, error) {
		boot, err := record.Boot()
		if err != nil {
			return nil, err
		}
		f, err := agentflows.New(agentflows.Node{
			Name: n.Name, Version: n.Version, Tables: n.Tables, DB: n.DB, Datapath: n.Datapath, Log: n.Log, StateDir: n.StateDir, Boot: boot,
		})
		if err != nil {
			return nil, err
		}
		n.collectors = append(n.collectors, f.Collectors()...)
		measured := scrape.NewFlows(n.Tables, n.DB)
		f.Follow("hubble-metrics", measured.Take)
		throughput := scrape.NewThroughput(n.Tables, n.DB)
		f.Follow("throughput", throughput.Take)
		n.collectors = append(n.collectors, throughput.Collector())
		return append([]Runner{{Name: "flows", Run: f.Run}, {Name: "throughput", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) settings.Throughput { return c.Throughput }, throughput.Run)
		}}, {Name: "metrics of flows", Run: func(ctx context.Context) error {
			return configured(ctx, n, flowMetrics, func(ctx context.Context, c settings.FlowMetrics) error {
				if err := measured.Run(ctx, c, n.serveMetrics); err != nil { // they are counted, and a node without them works
					n.Log.Error("metrics of flows are not served until the configuration of them changes", "address", c.Server.Address, "error", err)
				}
				return nil
			})
		}}}, serveFlows(n, f)...), nil
	},
}

func serveFlows(n *Node, f *agentflows.Flows) []Runner {
	return append([]Runner{
		{Name: "flow service", Run: func(ctx context.Context) error { return configured(ctx, n, n.flowSocket, f.Socket) }},
		{Name: "flow service over the network", Run: func(ctx context.Context) error { return configured(ctx, n, flowService, f.Network) }},
	}, exportFlows(n, f)...)
}

// exportFlows has flows written and sent, and what may be secret taken out of them before.
func exportFlows(n *Node, f *agentflows.Flows) []Runner {
	export := func(c settings.Observation) (e settings.Export) {
		if c.Hubble {
			e = c.Export
		}
		return e
	}
	return []Runner{
		{Name: "flows in a file", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) settings.FlowFile { return export(c).File }, f.File)
		}},
		{Name: "flows in files", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) string { return export(c).Several }, f.Files)
		}},
		{Name: "flows by IPFIX", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) string { return export(c).IPFIX }, f.Collector)
		}},
		{Name: "redaction of flows", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) settings.Redaction { return c.Redaction }, f.Redact)
		}},
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

// flowMetrics says which metrics of flows are asked for: none where there are no flows.
func flowMetrics(c settings.Observation) settings.FlowMetrics {
	if !c.Hubble {
		return settings.FlowMetrics{}
	}
	return c.FlowMetrics
}
