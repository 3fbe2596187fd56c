package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Endpoint is a CiliumEndpoint object, of any node: the addresses of a workload and its identity.
type Endpoint struct {
	Namespace  string
	Name       string
	UID        string // of the object
	Identity   identity.Number
	Addresses  []netip.Addr
	Node       netip.Addr // InternalIP of the node it lives on
	NodeName   string     // of the node that wrote it, or a digest of a name that is too long for a label; empty: not known
	NamedPorts []NamedPort
}

func (Endpoint) Header() []string {
	return []string{"Namespace", "Name", "Identity", "Addresses", "Node"}
}

func (e Endpoint) Row() []string {
	return []string{e.Namespace, e.Name, fmt.Sprint(e.Identity), column.List(e.Addresses), e.Node.String()}
}

var _ = declare(&tables.Endpoints, "endpoints", func(r Endpoint) state.Key { return ObjectKey(r.Namespace, r.Name) },
	byAddress(func(r Endpoint) []netip.Addr { return r.Addresses }),
	byIdentity(func(r Endpoint) identity.Number { return r.Identity }))
