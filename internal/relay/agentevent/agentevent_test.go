package agentevent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/observe/journal"
	"weftnet.io/weftnet/internal/relay/agentevent"
	"weftnet.io/weftnet/internal/relay/peers"
	"weftnet.io/weftnet/internal/relay/relaytest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// agent is one that did what a test says, and answers as agents do.
type agent struct {
	observerpb.UnimplementedObserverServer
	did   *journal.Journal[event, *event]
	fails error
}

type event struct {
	journal.Entry
	name string
}

func (a *agent) does(at int, name string) {
	a.did.Put(&event{journal.Entry{At: epoch.Add(time.Duration(at) * time.Second)}, name})
	a.did.Wake()
}

func (a *agent) GetAgentEvents(r *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	if a.fails != nil {
		return a.fails
	}
	q, err := query.Bounds(r)
	if err != nil {
		return err
	}
	return a.did.Answer(stream.Context(), journal.Range{Number: q.Number, First: q.First, Follow: q.Follow, Since: q.Since, Until: q.Until}, journal.Reader[event]{
		Send: func(e *event) error {
			return stream.Send(&observerpb.GetAgentEventsResponse{Time: timestamppb.New(e.At), AgentEvent: &flowpb.AgentEvent{Notification: &flowpb.AgentEvent_Unknown{Unknown: &flowpb.AgentEventUnknown{Type: e.name}}}})
		},
		Missed: func(uint64) error { return nil }, Now: time.Now,
	})
}

// relay answers of some agents.
type relay struct {
	observerpb.UnimplementedObserverServer
	peers peers.Fixed
}

func (r relay) GetAgentEvents(q *observerpb.GetAgentEventsRequest, stream grpc.ServerStreamingServer[observerpb.GetAgentEventsResponse]) error {
	return agentevent.Answer(q, stream, agentevent.Options{Peers: r.peers, Window: time.Minute, Answer: time.Minute, Most: 100, Reason: "why", Holds: func(context.Context) error { return nil }})
}

func of(t *testing.T, agents ...*agent) observerpb.ObserverClient {
	t.Helper()
	var all peers.Fixed
	for i, a := range agents {
		conn, _ := relaytest.Serve(t, nil, func(s grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(s, a) })
		all = append(all, peers.Peer{Name: fmt.Sprint("n", i), Available: true, Conn: conn})
	}
	conn, _ := relaytest.Serve(t, nil, func(s grpc.ServiceRegistrar) { observerpb.RegisterObserverServer(s, relay{peers: all}) })
	return observerpb.NewObserverClient(conn)
}

func ask(ctx context.Context, c observerpb.ObserverClient, r *observerpb.GetAgentEventsRequest) (all, why []string, err error) {
	stream, err := c.GetAgentEvents(ctx, r)
	for err == nil {
		var one *observerpb.GetAgentEventsResponse
		if one, err = stream.Recv(); err == nil {
			all = append(all, one.GetAgentEvent().GetUnknown().GetType())
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, stream.Trailer().Get("why"), err
}

func TestWhatAgentsDidIsInTheOrderOfTime(t *testing.T) {
	agents := []*agent{{}, {}, {}}
	client := of(t, agents...)
	rapid.Check(t, func(r *rapid.T) {
		var want []string
		for _, a := range agents {
			a.did = journal.New[event](1000)
		}
		for i := range rapid.IntRange(0, 30).Draw(r, "events") {
			agents[rapid.IntRange(0, 2).Draw(r, "agent")].does(i, fmt.Sprintf("%03d", i))
			want = append(want, fmt.Sprintf("%03d", i))
		}
		request := &observerpb.GetAgentEventsRequest{Number: rapid.Uint64Range(0, 40).Draw(r, "number"), First: rapid.Bool().Draw(r, "first")}
		if rapid.Bool().Draw(r, "since") {
			since := rapid.IntRange(0, 30).Draw(r, "from")
			request.Since = timestamppb.New(epoch.Add(time.Duration(since) * time.Second))
			want = want[min(since, len(want)):]
		}
		if n := int(request.GetNumber()); n > 0 && n < len(want) {
			if request.GetFirst() {
				want = want[:n]
			} else {
				want = want[len(want)-n:]
			}
		}
		have, why, err := ask(t.Context(), client, request)
		if err != nil || len(why) > 0 || !slices.Equal(have, want) {
			r.Fatalf("to %v have %q, %q, %v, want %q", request, have, why, err, want)
		}
	})
}

func TestOfAgentsThatFailIsTold(t *testing.T) {
	well, bad := &agent{did: journal.New[event](10)}, &agent{fails: status.Error(codes.Internal, "it is broken")}
	well.does(1, "one")
	have, why, err := ask(t.Context(), of(t, well, bad), &observerpb.GetAgentEventsRequest{})
	if err != nil || !slices.Equal(have, []string{"one"}) || len(why) != 1 || why[0] != "no agent events of n1: it is broken" {
		t.Errorf("have %q, %q, %v", have, why, err)
	}
	if _, _, err := ask(t.Context(), of(t, bad, bad), &observerpb.GetAgentEventsRequest{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "n0, n1: it is broken") {
		t.Errorf("have %v", err)
	}
	if _, _, err := ask(t.Context(), of(t), &observerpb.GetAgentEventsRequest{First: true, Follow: true}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("have %v", err)
	}
}

func TestAFollowerGetsWhatAgentsDoNext(t *testing.T) {
	agents := []*agent{{did: journal.New[event](10)}, {did: journal.New[event](10)}}
	for i := range 6 {
		agents[i%2].does(i, fmt.Sprint(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := of(t, agents...).GetAgentEvents(ctx, &observerpb.GetAgentEventsRequest{Number: 2, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	next := func(n int) (all []string) {
		for range n {
			one, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, one.GetAgentEvent().GetUnknown().GetType())
		}
		return all
	}
	if have := next(2); !slices.Equal(have, []string{"4", "5"}) {
		t.Errorf("have %q", have)
	}
	agents[0].does(7, "7")
	agents[1].does(8, "8")
	agents[0].does(9, "9") // it is known now that no older one comes
	if have := next(2); !slices.Equal(have, []string{"7", "8"}) {
		t.Errorf("have %q", have)
	}
}
