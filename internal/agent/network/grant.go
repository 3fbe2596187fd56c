package network

import (
	"context"
	"log/slog"
	"time"

	"weftnet.io/weftnet/internal/reconcile"
	sink "weftnet.io/weftnet/internal/sink/grant"
	"weftnet.io/weftnet/internal/sink/kube/order"
	"weftnet.io/weftnet/internal/sink/link/silence"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
)

// Cluster grants addresses that the nodes of a cluster share.
type Cluster = order.Cluster

// NewCluster makes the one of a node.
func NewCluster(api order.API, node string, log *slog.Logger) (*Cluster, error) {
	return order.New(order.Config{API: api, Node: node, Log: log})
}

// Granted is the loop that has the addresses granted that NICs need before they are made. Who grants is told by the type of ipam: another type is
// one more entry here. Without an API server there is no cluster that shares addresses.
func Granted(db *state.DB, cluster *Cluster) (*reconcile.Loop[grant.Order], error) {
	s := &sink.Sink{DB: db, Granters: map[string]sink.Granter{}}
	if cluster == nil { // nothing that it granted can lapse
		if err := db.Write(func(tx *state.Tx) error { grant.Lapses.MarkSynced(tx); return nil }); err != nil {
			return nil, err
		}
	} else {
		for _, kind := range cluster.Types() {
			s.Granters[kind] = cluster
		}
	}
	return s.Loop(), s.Begin()
}

// Silent is the loop that keeps NICs from sending whose addresses may be another node's.
func (n *Networks) Silent() *reconcile.Loop[grant.Silence] {
	return &reconcile.Loop[grant.Silence]{Table: grant.Silences, Sink: &silence.NICs{DB: n.Options.DB, Root: n.Options.Root}, WaitSynced: true}
}

// Keep holds addresses that may move, or lets go of them.
func Keep(ctx context.Context, db *state.DB, t *table.Tables, cluster *Cluster) error {
	return cluster.Keep(ctx, db, func() time.Duration { return t.Config(db.Snapshot()).Networks.Hold })
}

// Sweep gives back addresses that this node has no use for, once the orders of NICs that live are known.
func Sweep(ctx context.Context, db *state.DB, cluster *Cluster) error {
	if err := status.AwaitFirst(ctx, db, grant.Orders); err != nil {
		return err
	}
	return cluster.Run(ctx)
}
