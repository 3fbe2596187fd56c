package peer

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"

	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// stream is a client that writes down what it is told.
type stream struct {
	grpc.ServerStream
	ctx  context.Context
	told []string
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(n *peerpb.ChangeNotification) error {
	s.told = append(s.told, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", strings.TrimPrefix(n.GetType().String(), "PEER_"), n.GetName(), n.GetAddress(), n.GetTls().GetServerName())))
	return nil
}

func addresses(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func TestARelayIsToldOfAllNodesAndOfWhatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tables, db := table.New()
		write := func(f func(tx *state.Tx)) {
			t.Helper()
			if err := db.Write(func(tx *state.Tx) error { f(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := &stream{ctx: ctx}
		done := make(chan error)
		go func() { done <- New(tables, db).Notify(nil, s) }()
		configure := func(cluster string, c settings.FlowService) func(tx *state.Tx) {
			return func(tx *state.Tx) {
				tables.Configs.Put(tx, table.Config{Concern: settings.OfIdentity, Settings: settings.Config{Identity: settings.Identity{ClusterName: cluster}}})
				tables.Configs.Put(tx, table.Config{Concern: settings.OfObservation, Settings: settings.Config{Observation: settings.Observation{FlowService: c}}})
			}
		}
		expect := func(want ...string) {
			t.Helper()
			if !slices.Equal(s.told, want) {
				t.Errorf("have %q, want %q", s.told, want)
			}
			s.told = nil
		}
		write(configure("default", settings.FlowService{Address: ":4244"}))
		write(func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "b.example", Addresses: addresses("192.0.2.2", "fd00::2")})
		})
		expect() // the list of nodes is not complete
		write(func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "a", Addresses: addresses("192.0.2.1", "fd00::1")})
			tables.Nodes.MarkSynced(tx)
		})
		expect("ADDED a 192.0.2.1:4244 a.default.hubble-grpc.cilium.io", "ADDED b.example 192.0.2.2:4244 b-example.default.hubble-grpc.cilium.io")
		write(func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "a", Addresses: addresses("192.0.2.1", "fd00::1"), Labels: map[string]string{"x": "y"}})
		})
		expect() // nothing that a relay knows of it
		write(func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "a", Addresses: addresses("192.0.2.9")})
			tables.Nodes.Delete(tx, state.Join("b.example"))
		})
		expect("DELETED b.example 192.0.2.2:4244 b-example.default.hubble-grpc.cilium.io", "UPDATED a 192.0.2.9:4244 a.default.hubble-grpc.cilium.io")
		write(configure("default", settings.FlowService{Plain: true, IPv6: true}))
		expect("UPDATED a 192.0.2.9")
		write(func(tx *state.Tx) {
			tables.Nodes.Put(tx, table.Node{Name: "a", Addresses: addresses("192.0.2.9", "fd00::1")})
		})
		expect("UPDATED a fd00::1")
		write(configure("north", settings.FlowService{Address: "0.0.0.0:4244", IPv6: true}))
		expect("DELETED a fd00::1", "ADDED north/a [fd00::1]:4244 a.north.hubble-grpc.cilium.io")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
