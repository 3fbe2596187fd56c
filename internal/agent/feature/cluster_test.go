package feature

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"weftnet.io/weftnet/internal/settings"
	sinkkube "weftnet.io/weftnet/internal/sink/kube"
	"weftnet.io/weftnet/internal/source/kube/apitest"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/status"
	"weftnet.io/weftnet/internal/table"
)

func TestAMapThatKeepsItsSizeIsAnEventOfTheNode(t *testing.T) {
	server := apitest.New(t)
	events, err := sinkkube.NewEvents(server.Config(), "weft-agent", "n1")
	check(t, err)
	n := &Node{Name: "n1", Log: slog.New(slog.DiscardHandler), Settings: func() []settings.Line { return nil }}
	n.Tables, n.DB = table.New()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = warnUnmet(ctx, n, events) }) // it ends with ctx
	check(t, n.tellSizes([]table.MapSize{
		{Map: "connections", Entries: 4096, Asked: 4096},
		{Map: "policies", Entries: 4096, Asked: 1024, Why: "what it holds would fill more than a quarter of that"},
	}))
	const path = "/api/v1/namespaces/default/events/"
	await(t, "an event of the node", func() bool { return len(server.Paths(path)) > 0 })
	if list := server.Paths(path); len(list) != 1 {
		t.Fatalf("events are %v, want one", list)
	}
	var e corev1.Event
	server.Get(server.Paths(path)[0], &e)
	const want = "map policies keeps 4096 entries, not 1024: what it holds would fill more than a quarter of that; set bpf-map-dynamic-size-ratio to what it can have"
	if e.Reason != "MapKeepsSize" || e.InvolvedObject.Name != "n1" || !strings.Contains(e.Message, want) {
		t.Errorf("the event is %s of %s: %s", e.Reason, e.InvolvedObject.Name, e.Message)
	}
	check(t, n.tellSizes([]table.MapSize{{Map: "connections", Entries: 4096, Asked: 4096}}))
	if _, ok := n.Tables.MapSizes.One(n.DB.Snapshot(), state.Join("policies")); ok {
		t.Error("the map whose size no key says any more is still told of")
	}
}

func TestAMapWithoutRoomForAServiceIsAnEventOfTheNode(t *testing.T) {
	server := apitest.New(t)
	events, err := sinkkube.NewEvents(server.Config(), "weft-agent", "n1")
	check(t, err)
	n := &Node{Name: "n1", Log: slog.New(slog.DiscardHandler)}
	n.Tables, n.DB = table.New()
	frontends := n.Tables.Frontends.Name()
	write := func(rows ...status.Status) {
		check(t, n.DB.Write(func(tx *state.Tx) error {
			for _, row := range rows {
				row.Table = frontends
				status.Statuses.Put(tx, row)
			}
			return nil
		}))
	}
	write(status.Status{Done: true, Rev: 1}, status.Status{Key: "a", Done: true, Rev: 1})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = warnFull(ctx, n, events) }) // it ends with ctx
	const full = "write slot 0x0: map slots is full: raise its size in the configuration: no space"
	write(status.Status{Rev: 2}, status.Status{Key: "b", Err: full}, status.Status{Key: "c", Err: full}, status.Status{Key: "d", Err: "something else"})
	const path = "/api/v1/namespaces/default/events/"
	await(t, "an event of the node", func() bool { return len(server.Paths(path)) > 0 })
	write(status.Status{Rev: 3, Attempts: 2})
	if list := server.Paths(path); len(list) != 1 {
		t.Fatalf("events are %v, want one", list)
	}
	var e corev1.Event
	server.Get(server.Paths(path)[0], &e)
	if e.Reason != "MapFull" || e.InvolvedObject.Name != "n1" || !strings.Contains(e.Message, full) {
		t.Errorf("the event is %s of %s: %s", e.Reason, e.InvolvedObject.Name, e.Message)
	}
}
