package feature

import "weftnet.io/weftnet/internal/agent/sweep"

var sweeping = Feature{
	Name: "sweeping", Does: "takes finished connections out of the tables that all pods share",
	Maps: func(n *Node) ([]Runner, error) {
		s := sweep.New(n.Datapath, n.DB, n.Tables, n.Log)
		n.Sweeper.Store(s)
		n.collectors = append(n.collectors, s)
		return []Runner{{Name: "sweep", Run: s.Run}}, nil
	},
}
