package table

import (
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/lb"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// EndpointSlice is a Kubernetes EndpointSlice.
type EndpointSlice struct {
	Namespace, Name, Service string
	Ports                    []NamedPort // Port 0 with a name: not resolved
	Endpoints                []SliceEndpoint
}

func (EndpointSlice) Header() []string {
	return []string{"Namespace", "Name", "Service", "Ports", "Ready", "NotReady"}
}

func (s EndpointSlice) Row() []string {
	ready := map[bool][]netip.Addr{}
	for _, e := range s.Endpoints {
		ready[e.Ready] = append(ready[e.Ready], e.Addresses...)
	}
	return []string{s.Namespace, s.Name, s.Service, column.List(s.Ports), column.List(ready[true]), column.List(ready[false])}
}

var _ = declare(&tables.EndpointSlices, "endpointslices", func(r EndpointSlice) state.Key { return ObjectKey(r.Namespace, r.Name) },
	state.Index[EndpointSlice]{Name: ByService, Keys: func(r EndpointSlice) []state.Key {
		return []state.Key{ObjectKey(r.Namespace, r.Service)}
	}}, state.Index[EndpointSlice]{Name: ByZone, Keys: func(r EndpointSlice) (keys []state.Key) {
		for _, e := range r.Endpoints {
			for _, z := range e.Hints.Zones() {
				keys = append(keys, state.Join(z))
			}
		}
		return slices.Compact(slices.Sorted(slices.Values(keys)))
	}})

// SliceEndpoint is one backend of an EndpointSlice.
type SliceEndpoint struct {
	Addresses                   []netip.Addr
	Ready, Serving, Terminating bool
	Node                        string
	Hints                       *lb.Hints // nil: none
}
