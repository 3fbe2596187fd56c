package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/maglev"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Frontend is an address and port that the datapath translates, with its backends. The unspecified address (0.0.0.0, ::) stands for every
// address of every node: a node port; in ScopeHere for every address of this node: a hostPort. Port and protocol 0, which have no backends,
// stand for whatever else is sent to a cluster address: it is refused.
type Frontend struct {
	Address         netip.Addr
	Port            uint16
	Protocol        uint8
	Namespace       string // of the Service, or of the pod that has the hostPort
	Name            string
	AffinitySeconds uint32
	Kind            FrontendKind
	Scope           Scope    // who calls
	ByNode          bool     // a node port: each node leads to backends of its own, another node as it says itself
	Direct          bool     // of ScopeOutside: backends on other nodes answer straight to the client (DSR), not by this node (SNAT)
	Silent          bool     // of ScopeOutside: without backends it answers nothing, since other nodes have some
	Passes          bool     // who may not call it, or finds no backend that takes calls, goes on as if it were not there: by ScopeBehind, or as it is
	Redirect        string   // CiliumLocalRedirectPolicy, of the same namespace, that leads it to pods of this node; empty: none does
	Sources         []Source // who may call: of ScopeOutside, and of what a policy redirects; none: all
	Backends        []Backend
	Maglev          maglev.Shape // of the table in which calls find a backend; zero: it is chosen by chance
}

// FrontendKind is what makes an address and port a Frontend.
type FrontendKind string

// Values of FrontendKind. Of two of them that claim one address and port the first in the alphabet has it.
const (
	ClusterIP     FrontendKind = "ClusterIP"
	ExternalIP    FrontendKind = "ExternalIP"
	HostPort      FrontendKind = "HostPort" // of a pod
	LoadBalancer  FrontendKind = "LoadBalancer"
	LocalRedirect FrontendKind = "LocalRedirect" // of no Service, but of a CiliumLocalRedirectPolicy
	NodePort      FrontendKind = "NodePort"
)

// Scope is who calls a Frontend: the same address may be served by others for each.
type Scope uint8

// Values of Scope.
const (
	ScopeCluster Scope = iota // pods and processes of this node
	ScopeOutside              // machines that reach this node by its devices
	ScopeHere                 // either, at an address of this node
	ScopeBehind               // what passes the frontend of ScopeCluster
)

func (s Scope) String() string {
	return []string{"cluster", "outside", "here", "behind"}[s]
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
	return []string{"Address", "Port", "Protocol", "Service", "Kind", "Scope", "Affinity", "Maglev", "Sources", "Backends"}
}

func (f Frontend) Row() []string {
	return []string{f.Address.String(), fmt.Sprint(f.Port), fmt.Sprint(f.Protocol), f.Namespace + "/" + f.Name, string(f.Kind), f.Scope.String(), fmt.Sprint(f.AffinitySeconds), fmt.Sprint(f.Maglev.Size), column.List(f.Sources), column.List(f.Backends)}
}

var _ = declare(&tables.Frontends, "frontends", FrontendKey,
	state.Index[Frontend]{Name: ByService, Keys: func(r Frontend) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Name)} }})

// Backend is one place that serves a Frontend.
type Backend = lb.Backend
