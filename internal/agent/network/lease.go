package network

import (
	"context"

	derive "weftnet.io/weftnet/internal/derive/lease"
	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/lease"
)

// LeaseDerivations and LeaseNeeds are those of addresses by DHCP.
var (
	LeaseDerivations = derive.Derivations
	LeaseNeeds       = derive.Needs
)

// FillsLeases are their tables.
func FillsLeases(*table.Tables) []state.AnyTable { return []state.AnyTable{lease.Orders, lease.Leases} }

// LeaseLoop keeps leases. Its clients run until ctx of KeepLeases ends.
func (n *Networks) LeaseLoop() *reconcile.Loop[lease.Order] {
	return &reconcile.Loop[lease.Order]{Table: lease.Orders, Sink: n.leases, WaitSynced: true}
}

// KeepLeases ends what keeps leases when ctx ends, and gives none of them back.
func (n *Networks) KeepLeases(ctx context.Context) error { return n.leases.Run(ctx) }

// leased notes an event of a lease.
func (n *Networks) leased(o lease.Order, warning bool, reason, message string) {
	n.tell(event{o.Namespace, o.Pod, o.UID, warning, reason, message})
}
