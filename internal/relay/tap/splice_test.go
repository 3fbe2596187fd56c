package tap

import (
	"context"
	"fmt"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/relay/frame"
)

func flowFrame(i int) *frame.Frame {
	return frame.New(&observerpb.GetFlowsResponse{
		Time: timestamppb.New(time.Unix(int64(i/2), 0)), NodeName: "default/n1", // some are of one time
		ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: &flowpb.Flow{Uuid: fmt.Sprint(i)}},
	})
}

func lossFrame(n uint64) *frame.Frame {
	return frame.New(&observerpb.GetFlowsResponse{ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: &flowpb.LostEvent{
		Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: n,
	}}})
}

// heard is what a reader was given.
type heard struct {
	flows []string
	lost  uint64
}

func (h *heard) take(all []*frame.Frame) error {
	for _, f := range all {
		m, err := f.Message()
		if err != nil {
			return err
		}
		h.lost += m.GetLostEvents().GetNumEventsLost()
		if f.Kind() == frame.Flow {
			h.flows = append(h.flows, f.UUID())
		}
	}
	return nil
}

// Two streams of an agent are at any two places, as both come. Whenever the reader goes over to the queue, it is given each flow once, in the
// order of the agent; if the agent, or the queue, drops some of those in the queue, as many are told.
func TestAReaderGoesOverToTheQueueWithoutAGap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		taps := New(Limits{})
		one := &tap{of: taps, cancel: func() {}, readers: map[*reader]struct{}{}}
		number := rapid.IntRange(1, 60).Draw(r, "flows")
		first := rapid.IntRange(0, number).Draw(r, "first of the queue")
		begin := rapid.IntRange(0, number).Draw(r, "first of its own")
		place := one.enter(true)
		var (
			own        given
			have       heard
			met, waits bool
		)
		next, queued := begin, first // what each stream gives next
		step := func(queue bool) {
			switch {
			case queue && queued < number:
				if rapid.IntRange(0, 5).Draw(r, "agent drops") == 0 {
					n := min(rapid.IntRange(1, 5).Draw(r, "dropped"), number-queued)
					one.put(lossFrame(uint64(n)))
					queued += n
					break
				}
				one.put(flowFrame(queued))
				queued++
			case !queue && !met && !waits && next < number:
				f := flowFrame(next)
				next++
				if err := have.take([]*frame.Frame{f}); err != nil {
					r.Fatal(err)
				}
				if !own.note(f) {
					return
				}
				waits = true
			}
			if waits {
				var coming bool
				met, coming = place.look(&own)
				waits = coming
			}
			if met && rapid.Bool().Draw(r, "takes") {
				all, _, _ := place.take()
				if err := have.take(all); err != nil {
					r.Fatal(err)
				}
			}
		}
		for range 4 * number {
			step(rapid.Bool().Draw(r, "queue"))
		}
		for queued < number {
			step(true)
		}
		if waits {
			r.Fatalf("it waits for %s, which the queue does not give", own.last)
		}
		for !met && next < number { // what does not come by the queue comes by its own
			step(false)
		}
		for met {
			all, _, _ := place.take()
			if len(all) == 0 {
				break
			}
			if err := have.take(all); err != nil {
				r.Fatal(err)
			}
		}
		var want []string
		for i := begin; i < number; i++ {
			want = append(want, fmt.Sprint(i))
		}
		at := 0
		for _, uuid := range have.flows {
			for at < len(want) && want[at] != uuid {
				at++ // it is lost
			}
			if at++; at > len(want) {
				r.Fatalf("have %q, of which %s is out of order, or twice", have.flows, uuid)
			}
		}
		if len(have.flows)+int(have.lost) != len(want) {
			r.Fatalf("%d flows and %d told to be lost, of %d; in the queue: %v", len(have.flows), have.lost, len(want), met)
		}
	})
}

// A slow reader is told how many it lost, where it lost them, and no other loses any.
func TestASlowReaderIsToldWhatItLostAndNoOtherLosesAny(t *testing.T) {
	taps := New(Limits{Bytes: 1})
	one := &tap{of: taps, cancel: func() {}, readers: map[*reader]struct{}{}}
	taps.all.Add(1)
	slow, quick := one.enter(false), one.enter(false)
	var a, b heard
	const flows = 3 * least / 128
	for i := range flows {
		one.put(flowFrame(i))
		if i == 10 {
			all, _, _ := slow.take()
			if err := a.take(all); err != nil {
				t.Fatal(err)
			}
		}
		all, _, _ := quick.take()
		if err := b.take(all); err != nil {
			t.Fatal(err)
		}
	}
	first, _, _ := slow.take()
	if lost := first[0]; lost.Kind() != frame.Lost || lost.Node() != "default/n1" || lost.Time().After(first[1].Time()) {
		t.Errorf("it is told %v, and then %v", lost, first[1])
	}
	for all := first; len(all) > 0; all, _, _ = slow.take() {
		if err := a.take(all); err != nil {
			t.Fatal(err)
		}
	}
	if a.lost == 0 || len(a.flows)+int(a.lost) != flows || a.flows[len(a.flows)-1] != fmt.Sprint(flows-1) {
		t.Errorf("the slow one has %d, and lost %d of %d", len(a.flows), a.lost, flows)
	}
	if b.lost != 0 || len(b.flows) != flows {
		t.Errorf("the quick one has %d, and lost %d of %d", len(b.flows), b.lost, flows)
	}
	if one.bytes > least || len(one.frames) > 0 && one.bytes == 0 {
		t.Errorf("%d bytes in %d frames are left", one.bytes, len(one.frames))
	}
}

func TestWhatAllHaveTakenIsForgotten(t *testing.T) {
	taps := New(Limits{})
	one := &tap{of: taps, cancel: func() {}, readers: map[*reader]struct{}{}}
	readers := []*reader{one.enter(false), one.enter(false), one.enter(true)}
	for i := range 1000 {
		one.put(flowFrame(i))
	}
	for _, r := range readers[:2] {
		for {
			if all, _, _ := r.take(); len(all) == 0 {
				break
			}
		}
	}
	if n := len(one.frames) - one.gone; n != recent { // one that has a stream of its own needs no more
		t.Errorf("%d are here", n)
	}
	readers[2].leave()
	if n := len(one.frames) - one.gone; n != 0 || one.bytes != 0 || one.beginning != 0 {
		t.Errorf("%d are here, of %d bytes", n, one.bytes)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readers[0].follow(ctx, func([]*frame.Frame) error { return nil }); err != context.Canceled {
		t.Errorf("have %v", err)
	}
}
