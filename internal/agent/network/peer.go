package network

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"

	derive "weftnet.io/weftnet/internal/derive/peer"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/peer"
)

// PeerDerivations are those of what nodes tell each other of further NICs.
var PeerDerivations = derive.Derivations

// FillsPeers are their tables.
func FillsPeers(*table.Tables) []state.AnyTable {
	return []state.AnyTable{peer.Published, peer.Conflicts}
}

// WarnOfConflicts tells of addresses of this node's pods that other pods claim, too, in the log and, where to is not nil, as events of these pods.
func WarnOfConflicts(ctx context.Context, db *state.DB, to Events, log *slog.Logger) error {
	return follow(ctx, db, peer.Conflicts, func(c state.Change[peer.Conflict]) {
		if c.Deleted {
			return
		}
		log.Warn("two pods claim one address", "pod", c.Row.Namespace+"/"+c.Row.Pod, "why", c.Row.Text())
		if to == nil {
			return
		}
		about := corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: c.Row.Namespace, Name: c.Row.Pod}
		if err := to.Warn(ctx, about, "AddressConflict", c.Row.Text()); err != nil && ctx.Err() == nil {
			log.Warn("tell of an address that two pods claim", "pod", about.Namespace+"/"+about.Name, "error", err)
		}
	})
}
