package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// PublishedEndpoint is the CiliumEndpoint object that this node owes the cluster for a local pod.
type PublishedEndpoint struct {
	Namespace  string
	Name       string
	PodUID     string
	Identity   identity.Number
	Labels     identity.Labels
	Addresses  []netip.Addr
	Node       netip.Addr
	NamedPorts []NamedPort
}

func (PublishedEndpoint) Header() []string {
	return []string{"Namespace", "Name", "Identity", "Addresses", "Node"}
}

func (e PublishedEndpoint) Row() []string {
	return []string{e.Namespace, e.Name, fmt.Sprint(e.Identity), column.List(e.Addresses), e.Node.String()}
}

var _ = declare(&tables.Published, "published-endpoints", func(r PublishedEndpoint) state.Key { return ObjectKey(r.Namespace, r.Name) })
