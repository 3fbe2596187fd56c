package order

import (
	"context"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
)

// Keep holds the addresses of NICs that may move: while the API server is out of reach for too long their rows of table Lapses say so, and when it is
// back those of NICs whose addresses another node has by then. It ends with ctx.
func (c *Cluster) Keep(ctx context.Context, db *state.DB) error {
	movable := func() (bool, <-chan struct{}) {
		s := db.Snapshot()
		for o := range grant.Orders.All(s) {
			if o.Terms.Moves() {
				return true, nil
			}
		}
		return false, grant.Orders.WatchAll(s)
	}
	lapsed := func() error {
		c.Log.Warn("the API server has been out of reach for so long that other nodes may take addresses over: NICs that keep their addresses when they move are silent until it is back")
		return db.Write(func(tx *state.Tx) error { grant.Lapses.Put(tx, grant.Lapse{}); return nil })
	}
	return c.hold.Run(ctx, movable, lapsed, func(ctx context.Context) error { return c.back(ctx, db) })
}

// back lets NICs speak again whose addresses are theirs still, or again.
func (c *Cluster) back(ctx context.Context, db *state.DB) error {
	held, err := c.book.Held(ctx)
	if err != nil {
		return err
	}
	lost := map[state.Key]grant.Lapse{}
	for o := range grant.Orders.All(db.Snapshot()) {
		if !o.Terms.Moves() || len(o.Has) == 0 {
			continue
		}
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
		return nil
	})
}
