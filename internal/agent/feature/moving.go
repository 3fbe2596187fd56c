package feature

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"weftnet.io/weftnet/internal/state"
)

var moving = Feature{
	Name: "moving", Does: "moves entries of former maps into maps of another shape or size",
	Maps: func(n *Node) ([]Runner, error) {
		m := &mover{n: n}
		return []Runner{{Name: "move", Run: m.run, Behind: m.unsettled}}, nil
	},
}

// mover copies entries that former programs write into maps of another shape or size, until the last of these programs is replaced.
type mover struct {
	n    *Node
	busy atomic.Bool
	lost map[string]int // so far
}

// followEvery bounds for how long an entry that a former program has written is unknown to this agent's programs.
const followEvery = 20 * time.Millisecond

func (m *mover) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.n.Datapath.Moves():
		}
		m.busy.Store(true)
		m.n.Log.Info("maps get another shape or size: what is in them is moved", "maps", m.n.Datapath.Moving())
		if err := m.follow(ctx); err != nil {
			return err
		}
		if _, err := m.n.Sweeper.Load().Pass(time.Now()); err != nil && ctx.Err() == nil {
			return err
		}
		m.busy.Store(false)
	}
}

func (m *mover) follow(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		done, err := m.n.Datapath.Follow()
		if err != nil {
			return err
		}
		if done {
			m.tell()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tell logs that all is moved, or which entries are lost.
func (m *mover) tell() {
	lost := m.n.Datapath.Lost()
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		if more := lost[name] - m.lost[name]; more > 0 {
			m.n.Log.Warn("a map is full, and entries that did not fit are lost, with the connections that they are of: make it larger by its key in cilium-config", "map", name, "lost", more)
		}
	}
	if maps.Equal(lost, m.lost) {
		m.n.Log.Info("all that the former maps had is moved")
	}
	m.lost = lost
}

// unsettled says what is moved at the moment; empty: nothing.
func (m *mover) unsettled(*state.Snapshot) string {
	if names := m.n.Datapath.Moving(); len(names) > 0 || m.busy.Load() {
		return "entries of former maps " + strings.Join(names, ", ")
	}
	return ""
}
