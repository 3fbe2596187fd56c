package tap

import (
	"context"
	"sync"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weftnet.io/weftnet/internal/relay/frame"
)

// tap is one stream of an agent, and the queue of what it gave.
type tap struct {
	of     *Taps
	conn   grpc.ClientConnInterface
	kind   string
	cancel context.CancelFunc

	mu        sync.Mutex // after that of Taps
	base      uint64     // number of the oldest that is here
	frames    []*frame.Frame
	gone      int // of these, from the first on
	bytes     int
	readers   map[*reader]struct{}
	beginning int  // readers that have streams of their own
	over      bool // the stream has ended
	err       error
}

// reader is a place in a queue.
type reader struct {
	tap   *tap
	woken chan struct{} // there is something to take, or nothing ever will be

	// Guarded by the tap.
	next    uint64       // number of what it takes next
	begins  bool         // it has a stream of its own
	waiting bool         // it has not been woken since
	lost    uint64       // flows that were dropped before it took them
	dropped *frame.Frame // the last of these
}

// run reads the stream until it ends, or no reader is left.
func (t *tap) run(ctx context.Context, r *observerpb.GetFlowsRequest) {
	defer t.cancel()
	s, err := frame.Ask(ctx, t.conn, r)
	for err == nil {
		var f *frame.Frame
		if f, err = s.Next(); err == nil {
			t.put(f)
		}
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.of.forget(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over, t.err = true, end(err)
	t.wake()
}

// wake tells those that wait; mu is held.
func (t *tap) wake() {
	for r := range t.readers {
		if r.waiting {
			r.waiting = false
			select {
			case r.woken <- struct{}{}:
			default: // it has left
			}
		}
	}
}

// put takes in what came.
func (t *tap) put(f *frame.Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.readers) == 0 {
		return // the last one has just left
	}
	if t.gone > len(t.frames)/2 && len(t.frames) == cap(t.frames) {
		n := copy(t.frames, t.frames[t.gone:])
		clear(t.frames[n:])
		t.frames, t.gone = t.frames[:n], 0
	}
	t.frames = append(t.frames, f)
	t.bytes += f.Size()
	if t.beginning > 0 {
		t.hurry()
	}
	if t.bytes > least {
		t.bound()
	}
	t.wake()
}

// hurry leads readers that have streams of their own past what they need not know; mu is held.
func (t *tap) hurry() {
	for r := range t.readers {
		if n := int(t.next() - r.next); r.begins && n > recent {
			r.skip(n - recent)
		}
	}
}

// bound drops the oldest until the queue has no more than it may; mu is held.
func (t *tap) bound() {
	room := t.of.room()
	for t.bytes > room {
		for r := range t.readers {
			if r.next == t.base {
				r.lose(t.frames[t.gone])
			}
		}
		t.pop()
	}
}

// pop drops the oldest; mu is held.
func (t *tap) pop() {
	t.bytes -= t.frames[t.gone].Size()
	t.frames[t.gone] = nil
	t.gone++
	t.base++
	if t.gone == len(t.frames) {
		t.frames, t.gone = t.frames[:0], 0
	}
}

// next is the number of what comes next; mu is held.
func (t *tap) next() uint64 { return t.base + uint64(len(t.frames)-t.gone) }

// from lists what is here from a number on; mu is held.
func (t *tap) from(number uint64) []*frame.Frame { return t.frames[t.gone+int(number-t.base):] }

// lose notes that a frame is dropped which the reader has not taken.
func (r *reader) lose(f *frame.Frame) {
	r.next++
	r.dropped = f
	if f.Kind() == frame.Flow {
		r.lost++
		return
	}
	if m, err := f.Message(); err == nil {
		r.lost += m.GetLostEvents().GetNumEventsLost()
	}
}

// enter makes a reader of what comes from now on; mu of Taps is held. begins: it has a stream of its own.
func (t *tap) enter(begins bool) *reader {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &reader{tap: t, next: t.next(), woken: make(chan struct{}, 1), begins: begins}
	t.readers[r] = struct{}{}
	if begins {
		t.beginning++
	}
	return r
}

// leave gives the place up. With the last reader the stream ends.
func (r *reader) leave() {
	t := r.tap
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.readers, r)
	if r.begins {
		t.beginning--
	}
	t.trim()
	if len(t.readers) == 0 {
		t.of.forget(t)
		t.cancel()
	}
}

// trim drops what all have taken; mu is held.
func (t *tap) trim() {
	next := t.next()
	for r := range t.readers {
		next = min(next, r.next)
	}
	for t.base < next {
		t.pop()
	}
}

// some is how many are taken at once.
const some = 64

// follow takes what comes until the stream or ctx ends.
func (r *reader) follow(ctx context.Context, take Take) error {
	for {
		if err := r.wait(ctx); err != nil {
			return err
		}
		all, over, err := r.take()
		if len(all) > 0 {
			if err := take(all); err != nil {
				return err
			}
		}
		if over {
			return err
		}
	}
}

// wait waits until there is something to take, or nothing ever will be.
func (r *reader) wait(ctx context.Context) error {
	t := r.tap
	t.mu.Lock()
	ready := t.over || r.next < t.next() || r.dropped != nil
	r.waiting = !ready
	t.mu.Unlock()
	if ready {
		return nil
	}
	select {
	case <-r.woken:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take takes what is there, some at a time; over: there is nothing more, and err is how the stream has ended.
func (r *reader) take() (all []*frame.Frame, over bool, err error) {
	t := r.tap
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.dropped != nil {
		all = append(all, r.loss())
		r.lost, r.dropped = 0, nil
	}
	list := t.from(r.next)
	all = append(all, list[:min(len(list), some)]...)
	r.skip(min(len(list), some))
	if over = t.over && r.next == t.next(); over {
		err = t.err
	}
	return all, over, err
}

// skip is past some that are here; the tap's mu is held.
func (r *reader) skip(n int) {
	oldest := r.next == r.tap.base
	if r.next += uint64(n); oldest && n > 0 {
		r.tap.trim()
	}
}

// loss is what an agent tells one that was too slow for it.
func (r *reader) loss() *frame.Frame {
	return frame.New(&observerpb.GetFlowsResponse{
		Time: timestamppb.New(r.dropped.Time()), NodeName: r.dropped.Node(),
		ResponseTypes: &observerpb.GetFlowsResponse_LostEvents{LostEvents: &flowpb.LostEvent{Source: flowpb.LostEventSource_HUBBLE_RING_BUFFER, NumEventsLost: r.lost}},
	})
}
