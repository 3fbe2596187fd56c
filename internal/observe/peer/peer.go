// Package peer tells relays where the agents of the cluster are: Hubble's peer.Peer.
//
//	table Nodes -> Notify: PEER_ADDED n1 10.0.0.1:4244, PEER_ADDED n2 …, and then what changes, until the client leaves
//
// Every agent knows all nodes, so a relay asks any one of them. A node's name is NODE, or CLUSTER/NODE where the cluster has a name of
// its own; by tls.server_name, NODE.CLUSTER.hubble-grpc.cilium.io, the relay knows the agent's certificate (dots in names are hyphens,
// so that the operator's *.CLUSTER.hubble-grpc.cilium.io is right for all).
//
// Invariants: what a client has been told, one after the other, always makes a list of nodes that was true. It is computed against what
// that client was told last, so a client that reads slowly is told of less, never of something false, and nothing waits for it in memory
// but one list. Nothing is told before the list of nodes is complete.
//
//	peerpb.RegisterPeerServer(server, peer.New(tables, db))
package peer

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	peerpb "github.com/cilium/cilium/api/v1/peer"
	"google.golang.org/grpc"

	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Domain is below which agents have their names in certificates.
const Domain = "hubble-grpc.cilium.io"

// usual is the cluster that is not named.
const usual = "default"

// ServerName is what the certificate of a node's agent is for.
func ServerName(node, cluster string) string {
	return label(node) + "." + label(cluster) + "." + Domain
}

// label makes one label of a name with dots, so that a certificate for *.CLUSTER… is right for it (RFC 6125).
func label(name string) string { return strings.ReplaceAll(cmp.Or(name, usual), ".", "-") }

// Service is peer.Peer.
type Service struct {
	peerpb.UnimplementedPeerServer
	tables *table.Tables
	db     *state.DB
}

// New makes a service that tells of table Nodes.
func New(tables *table.Tables, db *state.DB) *Service { return &Service{tables: tables, db: db} }

// Notify tells of all nodes, and then of each change.
func (s *Service) Notify(_ *peerpb.NotifyRequest, stream grpc.ServerStreamingServer[peerpb.ChangeNotification]) error {
	told := map[string]notice{}
	for {
		snapshot := s.db.Snapshot()
		changed, configured := s.tables.Nodes.WatchAll(snapshot), s.tables.Configs.WatchAll(snapshot)
		if s.tables.Nodes.IsSynced(snapshot) {
			now := s.notices(snapshot)
			for _, n := range difference(told, now) {
				if err := stream.Send(n); err != nil {
					return err
				}
			}
			told = now
		}
		select {
		case <-changed:
		case <-configured:
		case <-stream.Context().Done():
			return nil // the client knows best why
		}
	}
}

// notice is what is told of a node.
type notice struct{ address, server string }

func (s *Service) notices(r *state.Snapshot) map[string]notice {
	config := s.tables.Config(r)
	all := map[string]notice{}
	for node := range s.tables.Nodes.All(r) {
		name := node.Name
		if cluster := cmp.Or(config.ClusterName, usual); cluster != usual {
			name = cluster + "/" + name
		}
		n := notice{address: addressOf(node, config.FlowService)}
		if !config.FlowService.Plain {
			n.server = ServerName(node.Name, config.ClusterName)
		}
		all[name] = n
	}
	return all
}

// addressOf is where a node's agent listens: all nodes have the same configuration. Empty: it has no address yet.
func addressOf(node table.Node, c settings.FlowService) string {
	if len(node.Addresses) == 0 {
		return ""
	}
	at := node.Addresses[0]
	if i := slices.IndexFunc(node.Addresses, func(a netip.Addr) bool { return a.Is6() == c.IPv6 }); i >= 0 {
		at = node.Addresses[i]
	}
	if _, port, err := net.SplitHostPort(c.Address); err == nil {
		return net.JoinHostPort(at.String(), port)
	}
	return at.String()
}

// difference is what a client that was told of some nodes must be told now, those that are gone first.
func difference(before, now map[string]notice) (all []*peerpb.ChangeNotification) {
	tell := func(name string, n notice, what peerpb.ChangeNotificationType) {
		out := &peerpb.ChangeNotification{Name: name, Address: n.address, Type: what}
		if n.server != "" {
			out.Tls = &peerpb.TLS{ServerName: n.server}
		}
		all = append(all, out)
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[name]; !still {
			tell(name, before[name], peerpb.ChangeNotificationType_PEER_DELETED)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		switch was, known := before[name]; {
		case !known:
			tell(name, now[name], peerpb.ChangeNotificationType_PEER_ADDED)
		case was != now[name]:
			tell(name, now[name], peerpb.ChangeNotificationType_PEER_UPDATED)
		}
	}
	return all
}
