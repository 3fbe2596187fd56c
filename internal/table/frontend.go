package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
)

// Frontend is an address and port that the datapath translates for workloads, with its backends. The unspecified address
// (0.0.0.0, ::) stands for every address of every node: a node port. Port and protocol 0, which have no backends, stand for
// whatever else is sent to a cluster address: it is refused.
type Frontend struct {
	Address         netip.Addr
	Port            uint16
	Protocol        uint8
	Namespace       string // of the Service
	Name            string
	AffinitySeconds uint32
	Outside         bool     // an external address or a node port, not a cluster address
	Scope           Scope    // who calls
	Sources         []Source // of ScopeOutside: who may call; none: all
	Backends        []Backend
}

// Scope is who calls a Frontend: the same address may be served by others for each.
type Scope uint8

// Values of Scope.
const (
	ScopeCluster Scope = iota // pods and processes of this node
	ScopeOutside              // machines that reach this node by its devices
)

func (s Scope) String() string {
	if s == ScopeOutside {
		return "outside"
	}
	return "cluster"
}

// Source is a range of clients; of several that hold an address the longest prefix decides.
type Source struct {
	Prefix  netip.Prefix
	Allowed bool
}

func (s Source) String() string {
	if s.Allowed {
		return s.Prefix.String()
	}
	return "not " + s.Prefix.String()
}

// FrontendKey is the key of a row of Frontends.
func FrontendKey(f Frontend) state.Key { return state.Join(f.Address, f.Port, f.Protocol, f.Scope) }

func (Frontend) Header() []string {
	return []string{"Address", "Port", "Protocol", "Service", "Scope", "Affinity", "Outside", "Sources", "Backends"}
}

func (f Frontend) Row() []string {
	return []string{f.Address.String(), fmt.Sprint(f.Port), fmt.Sprint(f.Protocol), f.Namespace + "/" + f.Name, f.Scope.String(), fmt.Sprint(f.AffinitySeconds), fmt.Sprint(f.Outside), join(f.Sources), join(f.Backends)}
}

var _ = declare(&tables.Frontends, "frontends", FrontendKey,
	state.Index[Frontend]{Name: ByService, Keys: func(r Frontend) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Name)} }})

// Backend is one place that serves a Frontend.
type Backend struct {
	Address     netip.Addr
	Port        uint16
	Terminating bool // keeps its connections, takes no new ones
}

func (b Backend) String() string {
	text := netip.AddrPortFrom(b.Address, b.Port).String()
	if b.Terminating {
		text += "(terminating)"
	}
	return text
}
