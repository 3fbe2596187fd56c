package table

import (
	"net/netip"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/identity/labelindex"
	"weftnet.io/weftnet/internal/state"
)

// Indexes that several tables have.
const (
	ByPod      = "pod"      // Attachments, Workloads: ObjectKey of the pod
	ByLabels   = "labels"   // Identities: label set; Workloads: labels that need a number
	ByIdentity = "identity" // Workloads, Endpoints, PolicySets, NICStatuses: number
	ByService  = "service"  // EndpointSlices, Frontends: ObjectKey of the service
	ByZone     = "zone"     // EndpointSlices: zones that hints name
	ByAddress  = "address"  // Endpoints, Workloads, Attachments: address
	ByLabel    = "label"    // Policies: labels that selectors ask about, by key without source; Services: key and value of their selectors
	BySelector = "selector" // Identities: keys by which selectors find them; Policies: keys of the selectors of their subjects (labelindex)
)

// ObjectKey is the key of a namespaced Kubernetes object.
func ObjectKey(namespace, name string) state.Key { return state.Join(namespace, name) }

func byAddress[R state.Row](of func(R) []netip.Addr) state.Index[R] {
	return state.Index[R]{Name: ByAddress, Keys: func(r R) []state.Key {
		keys := make([]state.Key, 0, 2)
		for _, a := range of(r) {
			keys = append(keys, state.Join(a))
		}
		return keys
	}}
}

func byIdentity[R state.Row](of func(R) identity.Number) state.Index[R] {
	return state.Index[R]{Name: ByIdentity, Keys: func(r R) []state.Key { return []state.Key{state.Join(uint32(of(r)))} }}
}

func indexKeys(list []labelindex.Key) []state.Key {
	keys := make([]state.Key, len(list))
	for i, a := range list {
		keys[i] = state.Key(a)
	}
	return keys
}
