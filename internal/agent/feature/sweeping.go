package feature

import (
	"context"
	"time"

	"weftnet.io/weftnet/internal/agent/sweep"
	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/settings"
)

var sweeping = Feature{
	Name: "sweeping", Does: "says how long connections are remembered, takes finished ones out of the tables that all pods share, and has the kernel tell of those that go on",
	Constants: config.Lives,
	Maps: func(n *Node) ([]Runner, error) {
		s := sweep.New(n.Datapath, n.DB, n.Tables, n.Log)
		n.Sweeper.Store(s)
		n.collectors = append(n.collectors, s)
		return []Runner{{Name: "sweep", Run: s.Run}, {Name: "progress of connections", Run: func(ctx context.Context) error {
			return configured(ctx, n, func(c settings.Observation) time.Duration { return c.Progress }, func(_ context.Context, every time.Duration) error {
				n.Datapath.Progress.Every(every)
				return nil
			})
		}}}, nil
	},
}
