package feature

import (
	"net/netip"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/derive/nic"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/sink/bpfmap"
	"weftnet.io/weftnet/internal/sink/bpfmap/exempt"
	sinklink "weftnet.io/weftnet/internal/sink/link"
	"weftnet.io/weftnet/internal/source/netdev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

var programs = Feature{
	Name: "programs", Does: "puts the datapath's programs on devices of pods and of the node",
	Fills:       func(t *table.Tables) []state.AnyTable { return []state.AnyTable{t.NICs, t.NICStatuses, t.Hooks} },
	Derivations: func(n *Node) []state.AnyDerivation { return nic.Derivations(n.Tables) },
	Needs:       nic.Needs,
	Maps: func(n *Node) ([]Runner, error) {
		nics, err := bpfmap.NewNICs(n.DB, n.Tables.NICStatuses, n.Datapath, n.Revisions, n.attached, n.exempt)
		if err != nil {
			return nil, err
		}
		hooks := sinklink.NewHooks(n.Datapath, n.served)
		n.Hooks.Store(hooks)
		return []Runner{
			keep(n, &reconcile.Loop[table.NIC]{Table: n.Tables.NICs, Sink: nics}),
			keep(n, &reconcile.Loop[table.Hook]{Table: n.Tables.Hooks, Sink: hooks}),
		}, nil
	},
}

// served tells whether map nics has a row for a device: as long as it has, the programs stay on the device.
func (n *Node) served(ifindex uint32) bool {
	var value [128]byte
	return n.Datapath.Map("nics").Lookup(ifindex, value[:n.Datapath.Map("nics").ValueSize()]) == nil
}

// attached tells whether there is an attachment for a device, or may be: tables that are not synced do not say.
func (n *Node) attached(ifindex uint32) bool {
	s := n.DB.Snapshot()
	if network.Stands(s, ifindex) {
		return true
	}
	d, ok := n.Tables.Devices.One(s, state.Join(ifindex))
	if !ok {
		return !n.Tables.Devices.IsSynced(s)
	}
	for range n.Tables.Attachments.By(s, table.ByDevice, state.Join(d.Name)) {
		return true
	}
	return !n.Tables.Attachments.IsSynced(s)
}

// exempt marks the connections that are open on the node when its first policy comes, so that the policy does not cut them, and logs
// which they are.
func (n *Node) exempt() error {
	var list []exempt.Connection
	err := netdev.Connections(func(protocol uint8, from, to netip.AddrPort) {
		list = append(list, exempt.Connection{Protocol: protocol, Source: from, Destination: to})
	})
	if err == nil {
		err = exempt.Open(n.Datapath, list)
	}
	if err != nil {
		return err
	}
	n.Log.Info("a policy selects this node for the first time: connections that are open are kept until they close", "count", len(list), "connections", list)
	return nil
}
