// Package v1alpha1 holds the Kubernetes objects of API version weftnet.io/v1alpha1, Weftnet's own, as Go types.
//
// The world modelled: addresses of networks beside the pod network. An AddressBlock is 16 addresses that belong to a node for as
// long as it has use for them, with what each is used for. A StickyAddress says which address a workload has that outlives its pods. A
// PodInterface tells all nodes which addresses a pod has there, so that policy and flows know who that is. An OverlayNetwork is such a
// network, which the tunnel between nodes carries.
//
// Invariants:
//
//   - A block's name follows from its space and its first address, so an address is in one object, and the API server's check of
//     resource versions decides every race for it.
//   - Ranges of networks may overlap: blocks do not depend on them.
//   - A PodInterface never changes, so the older of two that claim one address was first.
//
// Example:
//
//	apiVersion: weftnet.io/v1alpha1
//	kind: AddressBlock
//	metadata: {name: b-10.0.200.16}
//	spec:
//	  prefix: 10.0.200.16/28
//	  node: node-a
//	  used:
//	    10.0.200.17: {since: …, holders: [{node: node-a, container: c0ffee, interface: net1, pod: shop/web-1}]}
//
// +kubebuilder:object:generate=true
// +groupName=weftnet.io
package v1alpha1
