package feature

import (
	"weftnet.io/weftnet/internal/derive/link"
	"weftnet.io/weftnet/internal/reconcile"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/sink/route"
	"weftnet.io/weftnet/internal/source/netdev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var links = Feature{
	Name: "links", Does: "makes devices of pods, the tunnel device, the node's routes and what it knows of other nodes' links",
	Fills: func(t *table.Tables) []state.AnyTable {
		return []state.AnyTable{t.Devices, t.Links, t.Tunnels, t.Routes, link.Neighbors}
	},
	Constants:   link.Constants,
	Derivations: func(n *Node) []state.AnyDerivation { return link.Derivations(n.Tables) },
	Needs:       link.Needs,
	Early: func(n *Node) ([]Runner, error) {
		o := sinklink.Options{Root: n.Root, Proc: n.Proc, Clsact: true}
		pairs, err := sinklink.NewLinks(o)
		if err != nil {
			return nil, err
		}
		tunnels, err := sinklink.NewTunnels(o)
		if err != nil {
			return nil, err
		}
		routes, err := route.New()
		if err != nil {
			return nil, err
		}
		neighbors, err := route.NewNeighbors()
		if err != nil {
			return nil, err
		}
		devices, err := netdev.New(n.Tables.Devices, n.DB, n.Log)
		if err != nil {
			return nil, err
		}
		n.Links = pairs
		return []Runner{
			{Name: "devices", Run: devices.Run},
			keep(n, &reconcile.Loop[table.Link]{Table: n.Tables.Links, Sink: pairs}),
			keep(n, &reconcile.Loop[table.Tunnel]{Table: n.Tables.Tunnels, Sink: tunnels}),
			keep(n, &reconcile.Loop[table.Route]{Table: n.Tables.Routes, Sink: routes}),
			keep(n, neighbors.Loop()),
		}, nil
	},
}
