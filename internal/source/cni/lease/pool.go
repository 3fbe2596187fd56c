package lease

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/pool"
)

// Asker is an attachment that wants addresses.
type Asker struct {
	Owner          string // see Owner
	Namespace, Pod string
	Network        uint32       // 0: the pod network
	Addresses      []netip.Addr // those that it asks for; of an overlay network all that it has
}

// Give is Take, of the pool that the pod names. In an overlay network addresses are given by the whole cluster, or stated by the pod: an attachment there gets an
// incarnation number, and has the addresses that it asks for.
func (b *Book) Give(ctx context.Context, db *state.DB, a Asker, now func() time.Time) (Lease, error) {
	if a.Network == 0 {
		of, err := b.Pools(ctx, db, a.Owner, a.Namespace, a.Pod, now)
		if err != nil {
			return Lease{}, err
		}
		return b.Take(db.Snapshot(), a.Owner, of, a.Addresses, now())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	number, err := b.incarnation()
	return Lease{Addresses: a.Addresses, Incarnation: number}, err
}

// Pools names those that a pod's addresses come from (IPv4, IPv6; empty: the node's own prefixes), once this node has room in them. Where the cluster has
// any, a pod that is not known yet is waited for: its annotations, and those of its namespace, say it. Then the operator is: it gives what the pod needs.
func (b *Book) Pools(ctx context.Context, db *state.DB, owner, namespace, name string, now func() time.Time) (of [2]string, err error) {
	for name != "" {
		r := db.Snapshot()
		if pool.Pools.Len(r) == 0 && pool.Needs.Len(r) == 0 {
			return of, nil
		}
		of, known := pool.Of(r, b.tables, namespace, name)
		err := later(fmt.Sprintf("pod %s/%s, or its namespace, is not known yet, so it is not known which pool its addresses come from", namespace, name),
			"the API server has them, and tells this node's agent")
		if known {
			if err = b.room(r, owner, of, now()); err == nil {
				return of, nil
			}
		}
		_, _, is := b.tables.Pods.WatchOne(r, table.ObjectKey(namespace, name))
		_, _, in := b.tables.Namespaces.WatchOne(r, state.Join(namespace))
		select {
		case <-is:
		case <-in:
		case <-pool.Pools.WatchAll(r):
		case <-b.tables.Nodes.WatchAll(r):
		case <-b.tables.Configs.WatchAll(r):
		case <-ctx.Done():
			return of, err
		}
	}
	return of, nil
}

// room tells why there is no address of these pools for an owner.
func (b *Book) room(r state.Reader, owner string, of [2]string, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.follow(r, now)
	for i := range b.family {
		f := &b.family[i]
		if _, holds := f.pool.Held(owner); of[i] == "" || holds || !b.enabled(r, f) {
			continue
		}
		from, err := b.from(r, f, of[i])
		if err != nil {
			return err
		}
		if err := f.pool.Free(now, from...); err != nil {
			return refusal(err)
		}
	}
	return nil
}
