package tap_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"weftnet.io/weftnet/internal/flow/query"
	"weftnet.io/weftnet/internal/relay/frame"
	"weftnet.io/weftnet/internal/relay/relaytest"
	"weftnet.io/weftnet/internal/relay/tap"
	"weftnet.io/weftnet/internal/tenancy/tenancytest"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// item is the i-th flow of an agent, at that second.
func item(i int, pod string) tenancytest.Item {
	return tenancytest.Item{Node: "n1", At: epoch.Add(time.Duration(i) * time.Second), Flow: &flowpb.Flow{
		Uuid: fmt.Sprint(i), Source: &flowpb.Endpoint{Namespace: "a", PodName: pod}, Verdict: flowpb.Verdict(1 + i%2),
	}}
}

// follower is one that reads.
type follower struct {
	request *observerpb.GetFlowsRequest
	stop    context.CancelFunc
	done    chan error

	mu   sync.Mutex
	has  []string
	more chan struct{} // closed by the next
}

func follow(t *testing.T, taps *tap.Taps, conn *grpc.ClientConn, r *observerpb.GetFlowsRequest) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{request: r, stop: cancel, done: make(chan error, 1), more: make(chan struct{})}
	go func() { f.done <- taps.Read(ctx, conn, r, f.take) }()
	return f
}

func (f *follower) take(all []*frame.Frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range all {
		m, err := one.Message()
		if err != nil {
			return err
		}
		f.has = append(f.has, prototext.MarshalOptions{}.Format(m))
	}
	close(f.more)
	f.more = make(chan struct{})
	return nil
}

// begun tells whether it was given anything.
func (f *follower) begun() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.has) > 0
}

// begin has an agent tell of flows that a follower wants until it was given one, and no faster than they can be read.
func begin(t *testing.T, agent *relaytest.Agent, conn *grpc.ClientConn, number *int, f *follower) (all []tenancytest.Item) {
	pace := follow(t, tap.New(tap.Limits{}), conn, &observerpb.GetFlowsRequest{
		Follow: true, Since: timestamppb.New(epoch), Until: timestamppb.New(epoch.AddDate(100, 0, 0)), // so it shares nothing
	})
	for !f.begun() {
		one := item(*number, "end")
		*number++
		all = append(all, one)
		agent.Tell(one)
		pace.until(fmt.Sprintf("uuid:%q", one.Flow.GetUuid()))
	}
	pace.stop()
	<-pace.done
	return all
}

// until waits until it was given something, and is all that it was given by then.
func (f *follower) until(what string) []string {
	for {
		f.mu.Lock()
		has, more := slices.Clone(f.has), f.more
		f.mu.Unlock()
		if slices.ContainsFunc(has, func(s string) bool { return strings.Contains(s, what) }) {
			return has
		}
		<-more
	}
}

// wanted is what an agent answers to a request: a slow one, which looks at all.
func wanted(r *observerpb.GetFlowsRequest, all []tenancytest.Item) (list []string) {
	q, err := query.New(r)
	if err != nil {
		panic(err)
	}
	for _, i := range all {
		if i.At.Before(q.Since) || i.Flow != nil && !q.Want(i.Flow) {
			continue
		}
		one := &observerpb.GetFlowsResponse{Time: timestamppb.New(i.At), NodeName: "default/n1", ResponseTypes: &observerpb.GetFlowsResponse_Flow{Flow: q.Mask.Apply(i.Flow)}}
		if i.Lost != nil {
			one.ResponseTypes = &observerpb.GetFlowsResponse_LostEvents{LostEvents: i.Lost}
		}
		list = append(list, prototext.MarshalOptions{}.Format(one))
	}
	return list
}

var masks = [][]string{nil, {"uuid", "verdict"}, {"verdict"}}

// What followers are given who come at any time, and ask for any part of the past, is what the agent would answer each of them alone:
// all of that, once, in its order. One who asks for nothing of the past, or for the last flows, is given all from some flow on.
func TestAStreamThatIsSharedGivesEachWhatItsOwnWould(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		agent := relaytest.New("n1")
		conn, stop := relaytest.Serve(t, nil, agent.Register)
		defer stop()
		defer conn.Close()
		taps := tap.New(tap.Limits{Kinds: rapid.IntRange(1, 3).Draw(r, "kinds")})
		var all []tenancytest.Item
		var followers []*follower
		for i := range rapid.IntRange(1, 120).Draw(r, "steps") {
			if rapid.IntRange(0, 9).Draw(r, "joins") > 0 {
				one := item(i, rapid.SampledFrom([]string{"web", "db"}).Draw(r, "pod"))
				if rapid.IntRange(0, 15).Draw(r, "lost") == 0 {
					one.Flow, one.Lost = nil, tenancytest.Lost(r)
				}
				all = append(all, one)
				agent.Tell(one)
				continue
			}
			request := &observerpb.GetFlowsRequest{Follow: true}
			switch rapid.IntRange(0, 2).Draw(r, "past") {
			case 0:
				request.Since = timestamppb.New(epoch.Add(time.Duration(rapid.IntRange(0, i).Draw(r, "since")) * time.Second))
			case 1:
				request.Number = rapid.Uint64Range(1, 10).Draw(r, "last")
			}
			if pod := rapid.SampledFrom([]string{"", "a/web", "a/db", "a/x"}).Draw(r, "filter"); pod != "" {
				request.Whitelist = []*flowpb.FlowFilter{{SourcePod: []string{pod, "a/end"}}}
			}
			if paths := rapid.SampledFrom(masks).Draw(r, "mask"); paths != nil {
				request.FieldMask = &fieldmaskpb.FieldMask{Paths: paths}
			}
			followers = append(followers, follow(t, taps, conn, request))
		}
		number := 1000
		for _, f := range followers {
			all = append(all, begin(t, agent, conn, &number, f)...)
		}
		last := item(number, "end")
		last.Flow.Verdict = flowpb.Verdict_TRANSLATED
		all = append(all, last)
		agent.Tell(last)
		for _, f := range followers {
			have, want := f.until("TRANSLATED"), wanted(f.request, all)
			if f.request.GetSince() == nil {
				if n := min(len(want), int(f.request.GetNumber())); len(have) < n || len(have) > len(want) {
					r.Fatalf("%v: has %d of %d", f.request, len(have), len(want))
				}
				want = want[len(want)-len(have):]
			}
			if !slices.Equal(have, want) {
				r.Fatalf("%v: has\n%s\nwant\n%s", f.request, strings.Join(have, "\n"), strings.Join(want, "\n"))
			}
			f.stop()
			if err := <-f.done; err == nil {
				r.Fatal("it has ended by itself")
			}
		}
	})
}

func TestThoseThatFollowReadOneStreamOfAnAgent(t *testing.T) {
	agent := relaytest.New("n1")
	conn, _ := relaytest.Serve(t, nil, agent.Register)
	taps := tap.New(tap.Limits{Kinds: 1})
	var followers []*follower
	for i := range 20 {
		r := &observerpb.GetFlowsRequest{Follow: true}
		if i >= 10 { // of more kinds than there may be
			r.Whitelist = []*flowpb.FlowFilter{{SourcePod: []string{fmt.Sprint("a/web-", i)}}, {SourcePod: []string{"a/end"}}}
		}
		followers = append(followers, follow(t, taps, conn, r))
	}
	number := 0
	for _, f := range followers {
		begin(t, agent, conn, &number, f)
	}
	kinds := map[string]int{}
	for _, r := range agent.Asked() {
		if r.GetSince() != nil {
			continue // it keeps the pace
		}
		kinds[prototext.MarshalOptions{}.Format(r)]++
	}
	if len(kinds) != 2 {
		t.Errorf("it was asked %v", kinds)
	}
	for kind, n := range kinds {
		if n != 1 {
			t.Errorf("it was asked %d times for %s", n, kind)
		}
	}
	for _, f := range followers {
		f.stop()
		<-f.done
	}
	asked := len(agent.Asked())
	again := follow(t, taps, conn, &observerpb.GetFlowsRequest{Follow: true}) // all had left
	begin(t, agent, conn, &number, again)
	if n := len(agent.Asked()); n < asked+2 { // one of these keeps the pace
		t.Errorf("it was asked %d times, and then %d", asked, n)
	}
}

func TestTheEndOfAStreamIsThatOfAllItsReaders(t *testing.T) {
	agent := relaytest.New("n1")
	conn, stop := relaytest.Serve(t, nil, agent.Register)
	taps := tap.New(tap.Limits{})
	var followers []*follower
	for range 3 {
		followers = append(followers, follow(t, taps, conn, &observerpb.GetFlowsRequest{Follow: true}))
	}
	number := 0
	for _, f := range followers {
		begin(t, agent, conn, &number, f)
	}
	stop()
	for _, f := range followers {
		if err := <-f.done; err == nil {
			t.Error("it ends without an error")
		}
	}
}
