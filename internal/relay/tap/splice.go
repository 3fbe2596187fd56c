package tap

import (
	"context"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"

	"weftnet.io/weftnet/internal/relay/frame"
)

// begin reads a stream of its own until the queue can take its place. over: the stream has ended before.
func (r *reader) begin(ctx context.Context, conn grpc.ClientConnInterface, request *observerpb.GetFlowsRequest, take Take) (over bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := frame.Ask(ctx, conn, request)
	var own given
	for err == nil {
		var f *frame.Frame
		if f, err = s.Next(); err != nil {
			break
		}
		if err = take([]*frame.Frame{f}); err != nil {
			break
		}
		if own.note(f) && r.meet(ctx, &own) {
			return false, nil
		}
	}
	return true, end(err)
}

// recent is how many of the last flows of a stream of its own a reader knows again in the queue.
const recent = 256

// given is what a stream of its own has given a reader.
type given struct {
	last  string // the last of all; empty: that was no flow, or one without a UUID
	ring  [recent]string
	known map[string]bool
	n     int
	pause int // how many more come before it is worth looking
	tries int
}

// note remembers a frame, and tells whether to look for it in the queue.
func (g *given) note(f *frame.Frame) (look bool) {
	if g.last = f.UUID(); g.last == "" {
		return false
	}
	if g.known == nil {
		g.known = map[string]bool{}
	}
	at := &g.ring[g.n%recent]
	delete(g.known, *at)
	*at, g.known[g.last] = g.last, true
	g.n++
	if g.pause > 0 {
		g.pause--
		return false
	}
	g.tries++
	g.pause = min(1<<min(g.tries, 6), 64) // what is stored may be long
	return true
}

// meet looks for what a stream of its own gave last in the queue, and puts the reader behind it. If the queue has only come to what that
// stream gave a little before, it waits for the rest: the order of both is the agent's.
func (r *reader) meet(ctx context.Context, own *given) (met bool) {
	for {
		met, coming := r.look(own)
		if met || !coming || r.wait(ctx) != nil {
			return met
		}
	}
}

// look is one look; coming: what was given last is still to come.
func (r *reader) look(own *given) (met, coming bool) {
	t := r.tap
	t.mu.Lock()
	defer t.mu.Unlock()
	whole := !t.over && r.dropped == nil
	r.lost, r.dropped = 0, nil // the other stream has it
	list := t.from(r.next)
	for i := len(list) - 1; i >= 0; i-- {
		switch uuid := list[i].UUID(); {
		case uuid == own.last:
			r.skip(i + 1)
			r.begins = false
			t.beginning--
			return true, false
		case list[i].Kind() != frame.Flow:
			whole = false // it may be among what was lost
		case whole && own.known[uuid]:
			r.skip(len(list))
			return false, true
		}
	}
	return false, false
}
