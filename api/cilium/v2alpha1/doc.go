// Package v2alpha1 holds the Kubernetes objects of API version
// cilium.io/v2alpha1 as Go types.
//
// The world modelled: endpoint slices, which carry many endpoints in one object
// in big clusters, and the older version of the address pools. Package v2 has
// the rest and the invariants, which hold here too.
//
// Invariant: an object that exists in both versions has the same fields in
// both. The shared part is one Go type in v2, and the CRD converts by changing
// apiVersion alone.
//
// Example:
//
//	for _, ep := range slice.Endpoints {
//		row := remote{identity: ep.IdentityID, node: ep.Networking.NodeIP}
//		…
//	}
//
// +kubebuilder:object:generate=true
// +groupName=cilium.io
package v2alpha1
