package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/nettest"
	"weftnet.io/weftnet/internal/nettest/follow"
	"weftnet.io/weftnet/internal/nettest/load"
)

// restarts replaces agents under load, or kills them: nothing is lost, calls of all kinds go on while the agent is away,
// a DEL is done when it is back, and who follows flows hears of each gap.
func restarts(ctx context.Context, b *bed) error {
	for _, mode := range []struct {
		name     string
		settings map[string]string
	}{{"vxlan", nil}, {"native", native}} {
		if err := b.restartIn(ctx, mode.name, mode.settings); err != nil {
			return fmt.Errorf("%s: %w", mode.name, err)
		}
	}
	return nil
}

func (b *bed) restartIn(ctx context.Context, mode string, settings map[string]string) error {
	c, err := b.cluster(mode)
	if err != nil {
		return err
	}
	defer c.Close()
	files, err := follow.Certificates(b.dir + "/" + mode + "-tls")
	if err != nil {
		return err
	}
	given := files.Settings()
	maps.Copy(given, settings)
	w, err := newWorld(ctx, c, given, "")
	if err != nil {
		return err
	}
	f, err := w.follow(ctx, files)
	if err != nil {
		return err
	}
	defer f.Close()
	l, err := w.load()
	if err != nil {
		return err
	}
	kills, away := 0, time.Duration(0)
	for round := 0; round < b.rounds && ctx.Err() == nil; round++ {
		n := []*nettest.Node{w.a, w.b}[b.IntN(2)]
		end := n.Stop
		if b.IntN(3) == 0 {
			end = n.Kill
			kills++
		}
		took, err := w.restart(ctx, n, end, fmt.Sprint("late", round))
		if err == nil {
			err = w.rejoined(ctx, f)
		}
		if err != nil {
			_ = l.Stop() // of no interest now
			return fmt.Errorf("round %d, node %s: %w", round, n.Name, err)
		}
		away += took
	}
	counts := l.Stop()
	b.printf("%s: %d agents replaced, %d of them killed, away for %v on average", mode, b.rounds, kills, (away / time.Duration(max(1, b.rounds))).Round(time.Millisecond))
	for _, one := range counts {
		b.printf("  %v", one)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	account, err := f.Stop(ctx)
	b.printf("  %v", account)
	return errors.Join(load.Verdict(counts), err)
}

// follow has a client follow the flows of both nodes through a relay on a, and calls from web to db, until the follower stops.
func (w *world) follow(ctx context.Context, files follow.Files) (*follow.Follower, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	f, err := follow.Start(ctx, w.a, files, w.a, w.b)
	if err != nil {
		return nil, err
	}
	if err := f.Call(ctx, w.web.Station, netip.AddrPortFrom(w.db.Addresses[0], 5432)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// rejoined waits until the follower was told that both nodes are there: an agent that ended before would take with it what it has for it.
func (w *world) rejoined(ctx context.Context, f *follow.Follower) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return f.Rejoined(ctx)
}

// restart replaces an agent. A pod that was made before is deleted meanwhile.
func (w *world) restart(ctx context.Context, n *nettest.Node, end func(), name string) (away time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := n.Kernel(ctx)
	if err != nil {
		return 0, err
	}
	late, err := n.AddPod(ctx, nettest.PodSpec{Name: name, Labels: map[string]string{"app": "late"}})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	end()
	if err := late.Remove(ctx); err != nil {
		return 0, fmt.Errorf("DEL while the agent is away: %w", err)
	}
	for range 5 {
		if err := w.resolve(ctx); err != nil {
			return 0, fmt.Errorf("ask DNS while the agent is away: %w", err)
		}
	}
	if err := n.Start(); err != nil {
		return 0, err
	}
	away = time.Since(began)
	after, err := n.Kernel(ctx)
	if err == nil && after != before {
		err = fmt.Errorf("a pod that was deleted while the agent was away left something:\n%s\nbefore there was\n%s", after, before)
	}
	return away, err
}
