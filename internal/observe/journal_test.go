package observe

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weftnet.io/weftnet/internal/bpf/abi"
)

func TestTheJournalKeepsTheLast(t *testing.T) {
	j := newJournal(queue + 3)
	for i := range queue + 5 {
		j.put(&Flow{time: epoch.Add(time.Duration(i))})
	}
	if oldest, next := j.last(queue + 3); oldest != 2 || next != queue+5 {
		t.Errorf("have %d to %d", oldest, next)
	}
	if j.at(1) != nil || j.at(queue+5) != nil || j.at(2) == nil || j.at(4).time != epoch.Add(4) {
		t.Error("a flow is not where it should be")
	}
	more := j.wait(queue + 5)
	select {
	case <-more:
		t.Error("the next flow is not there yet")
	default:
	}
	j.put(&Flow{})
	j.wake()
	<-more
	<-j.wait(queue + 5)
}

func TestReadersNeverSeeAnotherFlow(t *testing.T) {
	j := newJournal(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 5 * queue {
			j.put(&Flow{time: epoch.Add(time.Duration(i))})
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		oldest, next := j.last(queue)
		for n := oldest; n < next; n++ {
			if f := j.at(n); f != nil && (f.number != n || f.time != epoch.Add(time.Duration(n))) {
				t.Fatalf("flow %d is %v", n, f.time)
			}
		}
	}
}

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
		source, other := newFeed(), newFeed()
		go func() { done <- o.Run(ctx, source, other) }()
		synctest.Wait()
		const n = 2*queue + 7
		for i := range n {
			from := source
			if i%2 == 1 {
				from = other
			}
			from.records <- syn(func(*abi.Event) {})
			synctest.Wait()
		}
		o.lost(3) // is no flow
		synctest.Wait()
		if quick != n || o.followers[1].lost.Load() != 0 {
			t.Errorf("the quick one has %d and lost %d of %d", quick, o.followers[1].lost.Load(), n)
		}
		close(held)
		synctest.Wait()
		if lost := o.followers[0].lost.Load(); uint64(slow)+lost != n {
			t.Errorf("the slow one has %d and lost %d of %d", slow, lost, n)
		} else if lost < queue {
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
		source, other := newFeed(), newFeed()
		done := make(chan error)
		go func() { done <- o.Run(t.Context(), source, other) }()
		synctest.Wait()
		_ = source.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
