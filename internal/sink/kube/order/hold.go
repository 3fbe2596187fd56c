package order

import (
	"context"
	"fmt"
	"time"

	"weftnet.io/weftnet/internal/ipam/cluster"
	"weftnet.io/weftnet/internal/sink/kube/lapse"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
	"weftnet.io/weftnet/internal/table/network"
)

// Keep holds the addresses of NICs that may move. While the API server is out of reach for longer than term, table Lapses says so of all; when it is
// back, of those whose addresses another node has by then. It ends with ctx.
func (c *Cluster) Keep(ctx context.Context, db *state.DB, term func() time.Duration) error {
	movable := func() bool {
		s := db.Snapshot()
		for o := range grant.Orders.All(s) {
			if o.Terms.Moves() {
				return true
			}
		}
		for m := range network.Finished.All(s) { // whose orders may not be known yet
			if m.Want.Terms.Moves() {
				return true
			}
		}
		return false
	}
	lapsed := func() error {
		c.Log.Warn("the API server has been out of reach for so long that other nodes may take addresses over: NICs that keep their addresses when they move are silent until it is back")
		return db.Write(func(tx *state.Tx) error {
			grant.Lapses.Put(tx, grant.Lapse{})
			grant.Lapses.MarkSynced(tx)
			return nil
		})
	}
	return c.hold.Run(ctx, lapse.Needs{Term: term, Any: movable, Lapsed: lapsed, Back: func(ctx context.Context) error { return c.back(ctx, db) }})
}

// back lets NICs speak again whose addresses are theirs still, or again.
func (c *Cluster) back(ctx context.Context, db *state.DB) error {
	var made []grant.Order
	s := db.Snapshot()
	for m := range network.Finished.All(s) {
		if !m.Want.Terms.Moves() {
			continue
		}
		o, ok := grant.Orders.One(s, network.Finished.Key(m))
		if !ok {
			return fmt.Errorf("what was ordered for %s is not known yet", m.Want.Title())
		}
		made = append(made, o)
	}
	var held []cluster.Holder
	if len(made) > 0 {
		var err error
		if held, err = c.book.Held(ctx); err != nil {
			return err
		}
	}
	lost := map[state.Key]grant.Lapse{}
	for _, o := range made {
		there := false
		for _, h := range held {
			there = there || h.Container == o.ContainerID && h.Interface == o.Interface
		}
		if there {
			continue
		}
		if _, err := c.Grant(ctx, o); err != nil {
			l := grant.Lapse{ContainerID: o.ContainerID, Interface: o.Interface, Why: err.Error()}
			lost[grant.Lapses.Key(l)] = l
			c.Log.Warn("a NIC stays silent, since another has its address by now", "pod", o.PodRef(), "interface", o.Interface, "error", err)
		}
	}
	return db.Write(func(tx *state.Tx) error {
		for l := range grant.Lapses.All(tx) {
			if _, still := lost[grant.Lapses.Key(l)]; !still {
				grant.Lapses.Delete(tx, grant.Lapses.Key(l))
			}
		}
		for _, l := range lost {
			grant.Lapses.Put(tx, l)
		}
		grant.Lapses.MarkSynced(tx)
		return nil
	})
}
