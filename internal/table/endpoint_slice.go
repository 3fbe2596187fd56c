package table

import (
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// EndpointSlice is a Kubernetes EndpointSlice.
type EndpointSlice struct {
	Namespace string
	Name      string
	Service   string
	Ports     []NamedPort // Port 0 with a name: not resolved
	Endpoints []SliceEndpoint
}

func (EndpointSlice) Header() []string {
	return []string{"Namespace", "Name", "Service", "Ports", "Ready", "NotReady"}
}

func (s EndpointSlice) Row() []string {
	var ready, not []netip.Addr
	for _, e := range s.Endpoints {
		if e.Ready {
			ready = append(ready, e.Addresses...)
		} else {
			not = append(not, e.Addresses...)
		}
	}
	return []string{s.Namespace, s.Name, s.Service, column.List(s.Ports), column.List(ready), column.List(not)}
}

var _ = declare(&tables.EndpointSlices, "endpointslices", func(r EndpointSlice) state.Key { return ObjectKey(r.Namespace, r.Name) },
	state.Index[EndpointSlice]{Name: ByService, Keys: func(r EndpointSlice) []state.Key {
		return []state.Key{ObjectKey(r.Namespace, r.Service)}
	}})

// SliceEndpoint is one backend of an EndpointSlice.
type SliceEndpoint struct {
	Addresses          []netip.Addr
	Ready              bool
	Serving            bool
	Terminating        bool
	Node               string
	ForNodes, ForZones []string // hints: whose calls it is meant for
}
