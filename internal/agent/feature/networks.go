package feature

import (
	"context"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/state"
)

var networks = Feature{
	Name: "networks", Does: "gives pods the further NICs that they ask for",
	Fills:       network.Fills,
	Derivations: func(n *Node) []state.AnyDerivation { return network.Derivations(n.Tables) },
	Needs:       network.Needs,
	Constants:   config.Overlays,
	Early: func(n *Node) ([]Runner, error) {
		opened, err := network.Open(network.Options{
			DB: n.DB, Root: n.Root, StateDir: n.StateDir, Path: n.Plugins, Told: !n.Alone, Log: n.Log,
			Probe: func() string { return n.Tables.Config(n.DB.Snapshot()).Networks.Conflicts },
		})
		if err != nil {
			return nil, err
		}
		n.Networks = opened
		granted, err := network.Granted(n.DB, n.Cluster)
		if err != nil {
			return nil, err
		}
		found, err := network.FoundLoop(n.DB, n.Root)
		if err != nil {
			return nil, err
		}
		n.collectors = append(n.collectors, network.Impaired{DB: n.DB})
		runners := []Runner{
			keep(n, opened.Loop()), keep(n, granted), keep(n, opened.Silent()), keep(n, found),
			{Name: "NICs of Multus", Run: func(ctx context.Context) error { return network.AllFound(ctx, n.DB) }},
			{Name: "CNI configurations", Run: func(ctx context.Context) error { return network.ReadFiles(ctx, n.DB, n.Confs, n.Log) }},
			{Name: "status of plugins", Run: opened.Watch},
			{Name: "addresses that are taken", Run: opened.WatchTaken},
			{Name: "impaired networks", Run: func(ctx context.Context) error { return opened.WarnOfImpairments(ctx, n.Events, n.Name) }},
		}
		if n.Cluster != nil {
			runners = append(runners,
				Runner{Name: "unused addresses", Run: func(ctx context.Context) error { return network.Sweep(ctx, n.DB, n.Cluster) }},
				Runner{Name: "hold on addresses", Run: func(ctx context.Context) error { return network.Keep(ctx, n.DB, n.Tables, n.Cluster) }})
		}
		if n.Events != nil {
			runners = append(runners, Runner{Name: "events of further NICs", Run: func(ctx context.Context) error { return opened.Tell(ctx, n.Events) }})
		}
		return runners, nil
	},
}
