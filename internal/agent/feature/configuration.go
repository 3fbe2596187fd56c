package feature

import (
	"context"
	"reflect"

	"weftnet.io/weftnet/internal/derive/config"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var configuration = Feature{
	Name: "configuration", Does: "reads keys into one row per concern, and tells of values that make no sense",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.Configs} },
	Derivations: func(n *Node) []state.AnyDerivation { return []state.AnyDerivation{config.New(n.Tables)} },
	Early: func(n *Node) ([]Runner, error) {
		return []Runner{{Name: "configuration", Run: func(ctx context.Context) error { return tellProblems(ctx, n) }}}, nil
	},
}

// tellProblems logs values of the configuration that make no sense, once each.
func tellProblems(ctx context.Context, n *Node) error {
	told := map[settings.Problem]bool{}
	for {
		s, now := n.DB.Snapshot(), map[settings.Problem]bool{}
		for _, p := range config.Problems(n.Tables, s) {
			if now[p] = true; !told[p] {
				n.Log.Warn("a key of cilium-config has a value that makes no sense", "key", p.Key, "value", p.Value, "problem", p.Message)
			}
		}
		told = now
		select {
		case <-n.Tables.Settings.WatchAll(s):
		case <-ctx.Done():
			return nil
		}
	}
}

// configured runs serve with a part of the configuration, and runs it anew when that part changes. It fails only if serve fails with
// the configuration that it finds first; if it fails after a later change, the log says so.
func configured[C any](ctx context.Context, n *Node, of func(settings.Observation) C, serve func(context.Context, C) error) error {
	for first := true; ; first = false {
		s := n.DB.Snapshot()
		now := of(n.Tables.Config(s).Observation)
		running, stop := context.WithCancel(ctx)
		over := make(chan error, 1)
		go func() { over <- serve(running, now) }()
		err := error(nil)
		for changed := false; !changed; {
			select {
			case err = <-over:
				if over = nil; err != nil && ctx.Err() == nil {
					if first {
						stop()
						return err
					}
					n.Log.Error("what the configuration asks for is not served until it is changed", "error", err)
				}
			case <-n.Tables.Configs.WatchAll(s):
				s = n.DB.Snapshot()
				changed = !reflect.DeepEqual(of(n.Tables.Config(s).Observation), now)
			case <-ctx.Done():
				changed = true
			}
		}
		stop()
		if over != nil {
			<-over
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}
