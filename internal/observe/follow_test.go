package observe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"weftnet.io/weftnet/internal/bpf/abi"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/observe/observetest"
)

func TestASlowFollowerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(t, func(*Options) {})
		quick, slow, held := 0, 0, make(chan struct{})
		o.followers = []*following{
			{follower: follower{name: "slow", take: func(*Flow) { <-held; slow++ }}},
			{follower: follower{name: "quick", take: func(*Flow) { quick++ }}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		source, other := observetest.NewFeed(), observetest.NewFeed()
		go func() { done <- o.Run(ctx, source, other) }()
		synctest.Wait()
		const n = 2*journal.Queue + 7
		for i := range n {
			from := source
			if i%2 == 1 {
				from = other
			}
			from.Records <- syn(func(*abi.Event) {})
			synctest.Wait()
		}
		lose(o, 3) // is no flow
		synctest.Wait()
		if quick != n || o.followers[1].lost.Load() != 0 {
			t.Errorf("the quick one has %d and lost %d of %d", quick, o.followers[1].lost.Load(), n)
		}
		close(held)
		synctest.Wait()
		if lost := o.followers[0].lost.Load(); uint64(slow)+lost != n {
			t.Errorf("the slow one has %d and lost %d of %d", slow, lost, n)
		} else if lost < journal.Queue {
			t.Errorf("the slow one lost only %d", lost)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
	})
}

func TestASourceThatEndsEndsTheObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := observer(t, func(*Options) {})
		source, other := observetest.NewFeed(), observetest.NewFeed()
		done := make(chan error)
		go func() { done <- o.Run(t.Context(), source, other) }()
		synctest.Wait()
		_ = source.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
