package network

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

type events chan string

func (e events) Warn(_ context.Context, about corev1.ObjectReference, reason, message string) error {
	e <- "Warning " + about.Namespace + "/" + about.Name + " " + reason + ": " + message
	return nil
}

func (e events) Tell(_ context.Context, about corev1.ObjectReference, reason, message string) error {
	e <- "Normal " + about.Namespace + "/" + about.Name + " " + reason + ": " + message
	return nil
}

func TestEventsHaveTheWordsOfMultus(t *testing.T) {
	_, db := table.New()
	n, err := Open(Options{DB: db, StateDir: t.TempDir(), Told: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(events)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- n.Tell(ctx, heard) }()
	expect := func(want string) {
		t.Helper()
		if got := <-heard; got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	n.added(network.Interface{Namespace: "shop", Pod: "web", Interface: "net1", Definition: "default/macvlan"}, []netip.Prefix{netip.MustParsePrefix("10.1.1.11/24")})
	expect("Normal shop/web AddedInterface: Add net1 [10.1.1.11/24] from default/macvlan")
	put := func(w network.Trouble) {
		if err := db.Write(func(tx *state.Tx) error { network.Troubles.Put(tx, w); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	put(network.Trouble{ContainerID: "c1", Namespace: "shop", Pod: "web", Definition: "shop/lan", Lacks: "shop/lan not found; prod/lan exists", Advice: "ask for prod/lan", Missing: true})
	expect("Warning shop/web NoNetworkFound: cannot find a network-attachment-definition (lan) in namespace (shop): shop/lan not found; prod/lan exists: ask for prod/lan")
	put(network.Trouble{ContainerID: "c1", Namespace: "shop", Pod: "web", Definition: "shop/lan", Lacks: "shop/lan: type: it names no plugin"})
	expect("Warning shop/web FailedInterface: shop/lan: type: it names no plugin")
	cancel()
	if err := <-over; err != context.Canceled {
		t.Error(err)
	}
}
