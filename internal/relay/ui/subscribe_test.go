package ui_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	"google.golang.org/grpc"

	observerv1 "weftnet.io/weftnet/api/observer/v1"
	"weftnet.io/weftnet/internal/relay/peers"
)

// subscriber is a client that notes what it has.
type subscriber struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[observerv1.SubscribeResponse]
	cursor string
	uuids  map[string]bool
	ports  []string // each flow once
	told   []string
	leave  func()
}

func (c *cluster) subscribe(token string, s *subscriber, f *observerv1.Filter) *subscriber {
	c.t.Helper()
	if s == nil {
		s = &subscriber{t: c.t, uuids: map[string]bool{}}
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	var err error
	if s.stream, err = c.client.Subscribe(as(ctx, token), &observerv1.SubscribeRequest{Cursor: s.cursor, Filter: f}); err != nil {
		c.t.Fatal(err)
	}
	s.leave = cancel
	s.next() // it has begun
	return s
}

// next takes in a batch.
func (s *subscriber) next() {
	s.t.Helper()
	r, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.cursor = r.GetCursor(); s.cursor == "" {
		s.t.Fatal("no cursor")
	}
	for _, f := range r.GetFlows() {
		if !s.uuids[f.GetUuid()] {
			s.uuids[f.GetUuid()] = true
			s.ports = append(s.ports, port(f))
		}
	}
	for _, m := range r.GetMissing() {
		s.told = append(s.told, fmt.Sprintf("%s: %s", m.GetNode(), m.GetReason()))
	}
}

// until takes in batches until it has a flow.
func (s *subscriber) until(port string) {
	s.t.Helper()
	for !slices.Contains(s.ports, port) {
		s.next()
	}
}

func (s *subscriber) has(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i <= to; i++ {
		if !slices.Contains(s.ports, fmt.Sprint(i)) {
			t.Errorf("%d is missing: have %v", i, s.ports)
		}
	}
	if len(s.ports) != len(slices.Compact(slices.Sorted(slices.Values(s.ports)))) {
		t.Errorf("a flow came twice with two uuids: %v", s.ports)
	}
}

func TestASubscriptionGoesOnBehindItsCursorThoughTheRelayBeganAnew(t *testing.T) {
	c := newCluster(t, "a", "b")
	s := c.subscribe("all", nil, nil)
	first := s.cursor
	c.event("a", 900, 1, nil)
	c.event("b", 890, 2, nil)
	s.until("2")
	s.until("1")
	c.restart()
	for i := range 20 { // while there is no client, and no relay
		c.event([]string{"a", "b"}[i%2], 800-i, uint16(i+3), nil)
	}
	c.subscribe("all", s, nil)
	s.until("22")
	c.event("a", 1, 23, nil)
	s.until("23")
	s.has(t, 1, 23)
	if len(s.told) > 0 {
		t.Errorf("told of %q", s.told)
	}
	// From the beginning once more, for a tenant and with a filter.
	other := c.subscribe("shop", &subscriber{t: t, uuids: map[string]bool{}, cursor: first}, &observerv1.Filter{Blacklist: []*flowpb.FlowFilter{{SourcePort: []string{"7"}}}})
	other.until("23")
	if other.has(t, 8, 23); slices.Contains(other.ports, "7") {
		t.Errorf("have %v", other.ports)
	}
}

func TestWhatWasOverwrittenBehindACursorIsTold(t *testing.T) {
	c := newCluster(t, "a", "b")
	s := c.subscribe("all", nil, nil)
	c.event("a", 1900, 1, nil)
	s.until("1")
	s.leave()
	for i := range 3 * kept {
		c.event("a", 1500-i, uint16(i+100), nil)
	}
	c.seen("a")
	c.subscribe("all", s, nil)
	if len(s.told) != 1 || !strings.HasPrefix(s.told[0], "a: its agent keeps the last 64 flows") {
		t.Errorf("told of %q", s.told)
	}
	s.until(fmt.Sprint(99 + 3*kept))
	s.has(t, 100+2*kept, 99+3*kept)
}

func TestFlowsOfANodeThatWasAwayComeBehindTheCursorToo(t *testing.T) {
	c := newCluster(t, "a", "b")
	s := c.subscribe("all", nil, nil)
	away := func(is bool) {
		c.all.change(func(list []peers.Peer) []peers.Peer {
			list = slices.Clone(list)
			for i := range list {
				if list[i].Name == "b" {
					if list[i].Available = !is; is {
						list[i].Conn.Close()
					} else {
						list[i].Conn = c.again("b")
					}
				}
			}
			return list
		})
	}
	c.event("b", 1900, 1, nil)
	s.until("1")
	away(true)
	for len(s.told) < 1 {
		s.next()
	}
	c.event("b", 1800, 2, nil) // seen while it could not be asked
	c.event("a", 100, 3, nil)
	s.until("3")
	s.leave()
	away(false)
	c.subscribe("all", s, nil)
	s.until("2")
	s.has(t, 1, 3)
}
