package feature

import (
	"weftnet.io/weftnet/internal/agent/sweep"
	"weftnet.io/weftnet/internal/derive/config"
)

var sweeping = Feature{
	Name: "sweeping", Does: "says how long connections are remembered, and takes finished ones out of the tables that all pods share",
	Constants: config.Lives,
	Maps: func(n *Node) ([]Runner, error) {
		s := sweep.New(n.Datapath, n.DB, n.Tables, n.Log)
		n.Sweeper.Store(s)
		n.collectors = append(n.collectors, s)
		return []Runner{{Name: "sweep", Run: s.Run}}, nil
	},
}
