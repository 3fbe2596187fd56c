package feature

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"weftnet.io/weftnet/internal/reconcile"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
)

// Runner is one loop.
type Runner struct {
	Name string
	Run  func(ctx context.Context) error // until ctx ends

	// Behind says which work on a snapshot it has not done yet; empty: none. Nil: it follows no table.
	Behind func(s *state.Snapshot) string
}

// keep is the loop that keeps a sink equal to a table.
func keep[R state.Row](n *Node, loop *reconcile.Loop[R]) Runner {
	loop.Log = n.Log
	return Runner{
		Name: loop.Table.Name(),
		Run:  func(ctx context.Context) error { return loop.Run(ctx, n.DB) },
		Behind: func(s *state.Snapshot) string {
			switch whole, ok := status.Statuses.One(s, status.KeyOf(loop.Table, "")); {
			case ok && whole.Err != "":
				return loop.Table.Name() + ": " + whole.Err
			case !ok || whole.Rev < loop.Table.LastRevision(s):
				return loop.Table.Name()
			}
			return ""
		},
	}
}

// derivation is the name of the loops of derivations.
const derivation = "derivation"

// Follow is the loop of derivations that are run together.
func Follow(n *Node, list []state.AnyDerivation) Runner {
	return Runner{
		Name: derivation,
		Run:  func(ctx context.Context) error { return state.Together(ctx, n.DB, list...) },
		Behind: func(s *state.Snapshot) string {
			if slices.ContainsFunc(list, func(d state.AnyDerivation) bool { return !d.CaughtUp(s) }) {
				return "a derivation"
			}
			return ""
		},
	}
}

// Serve answers HTTP until ctx ends.
func Serve(handler http.Handler, l net.Listener) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}
