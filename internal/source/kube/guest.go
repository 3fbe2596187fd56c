package kube

import (
	"context"
	"sync/atomic"

	"weftnet.io/weftnet/internal/kind"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// begin follows a resource that has a CRD.
func (s *Source) begin(ctx context.Context, r resource) {
	if r.Guest == nil {
		s.follow(ctx, r)
		return
	}
	s.guests(ctx, r)
}

// guests follows the objects of a resource that pods of this node name. Its table is synced when the pods are known and each of those has been
// read, or found to be missing.
func (s *Source) guests(ctx context.Context, r resource) {
	following := map[state.Key]*guest{}
	defer func() {
		for _, g := range following {
			g.end()
		}
	}()
	read := make(chan struct{}, 1) // another one has been
	synced, pods := false, s.tables.Pods
	for {
		snapshot := s.db.Snapshot()
		changed := pods.WatchAll(snapshot)
		named := map[state.Key]bool{}
		for p := range pods.All(snapshot) {
			if name := r.Guest(p); name != "" {
				key := table.ObjectKey(p.Namespace, name)
				if named[key] = true; following[key] == nil {
					following[key] = s.guest(ctx, r, p.Namespace, name, read)
				}
			}
		}
		all := pods.IsSynced(snapshot)
		for key, g := range following {
			if !named[key] {
				g.end()
				delete(following, key)
				_ = (&store{s, ctx, g.rows}).do(func(tx *state.Tx) { g.rows.Remove(tx, g.object) }) // its error is that of ctx
				continue
			}
			all = all && g.known.Load()
		}
		if all && !synced {
			synced = true
			_ = (&store{s, ctx, s.rows.Of(r.Kind)}).do(func(tx *state.Tx) { s.rows.Listed(tx, r.Kind) })
		}
		select {
		case <-changed:
		case <-read:
		case <-ctx.Done():
			return
		}
	}
}

// guest follows one object.
type guest struct {
	store
	object kind.Object     // its name
	known  atomic.Bool     // it has been read, or found to be missing
	read   chan<- struct{} // told once that it is known
	end    func()          // stops following, and returns when that has stopped
}

func (s *Source) guest(ctx context.Context, r resource, namespace, name string, read chan<- struct{}) *guest {
	inner, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	g := &guest{store: store{s, inner, s.rows.Of(r.Kind)}, object: r.New(), read: read, end: func() { stop(); <-over }}
	g.object.SetNamespace(namespace)
	g.object.SetName(name)
	r.space, r.list.FieldSelector = namespace, "metadata.name="+name
	go func() {
		defer close(over)
		s.reflect(inner, r, g)
	}()
	return g
}

// Replace takes a list, of one object or of none.
func (g *guest) Replace(objects []any, _ string) error {
	err := g.do(func(tx *state.Tx) {
		if len(objects) == 0 {
			g.rows.Remove(tx, g.object)
		}
		for _, o := range objects {
			g.rows.Put(tx, o)
		}
	})
	if err == nil && !g.known.Swap(true) {
		select {
		case g.read <- struct{}{}:
		default: // it is being told already
		}
	}
	return err
}
