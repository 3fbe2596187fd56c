// Package offer names the Service that an address and port are of.
//
//	names := offer.New(tables)
//	names.At(r, netip.MustParseAddr("10.96.0.10"), 80, 6)     // shop/web
//	names.Called(r, netip.MustParseAddr("192.0.2.1"), 30080, 6) // shop/web, whose node port it is
//
// It is for one goroutine.
package offer

import (
	"net/netip"

	flowpb "github.com/cilium/cilium/api/v1/flow"

	"weftnet.io/weftnet/internal/observe/cache"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Names knows the frontends of a node.
type Names struct {
	tables *table.Tables
	any    cache.Cache[netip.Addr, bool] // whether it is the address of some service
}

// New makes one.
func New(t *table.Tables) *Names {
	n := &Names{tables: t}
	n.any = cache.Cache[netip.Addr, bool]{Find: n.offered, Tables: []cache.Versioned{t.Frontends}}
	return n
}

func (n *Names) offered(r state.Reader, at netip.Addr) bool {
	for range n.tables.Frontends.Prefix(r, state.Join(at)) {
		return true
	}
	return false
}

// At is the Service that has this address and port; nil: none.
func (n *Names) At(r *state.Snapshot, at netip.Addr, port uint16, protocol uint8) *flowpb.Service {
	if !at.IsValid() || port == 0 || !n.any.Of(r, at) {
		return nil
	}
	return n.frontend(r, table.Frontend{Address: at, Port: port, Protocol: protocol})
}

// Called is the Service that the datapath has translated at this address and port, which may be a node port.
func (n *Names) Called(r *state.Snapshot, at netip.Addr, port uint16, protocol uint8) *flowpb.Service {
	if s := n.At(r, at, port, protocol); s != nil || !at.IsValid() {
		return s
	}
	everywhere := netip.IPv4Unspecified()
	if at.Is6() {
		everywhere = netip.IPv6Unspecified()
	}
	return n.frontend(r, table.Frontend{Address: everywhere, Port: port, Protocol: protocol})
}

// frontend finds a row for callers of either kind. A hostPort is no Service's.
func (n *Names) frontend(r *state.Snapshot, f table.Frontend) *flowpb.Service {
	for _, f.Scope = range []table.Scope{table.ScopeCluster, table.ScopeOutside} {
		if front, ok := n.tables.Frontends.One(r, table.FrontendKey(f)); ok && front.Kind != table.HostPort {
			return &flowpb.Service{Name: front.Name, Namespace: front.Namespace}
		}
	}
	return nil
}
