// Package v1alpha1 holds the objects in which the IPAM plugin whereabouts keeps its books, API version
// whereabouts.cni.cncf.io/v1alpha1, as Go types.
//
// The world modelled: an IPPool for each range, an OverlappingRangeIPReservation for each address in use, and a
// NodeSlicePool for each range that is divided among nodes. The CRDs are the plugin's own, and come with it.
//
// Invariant: nothing that the plugin writes is lost when an object is read and written back.
//
// Example:
//
//	apiVersion: whereabouts.cni.cncf.io/v1alpha1
//	kind: IPPool
//	metadata: {name: 192.168.2.0-24, namespace: kube-system}
//	spec: {range: 192.168.2.0/24, allocations: {"7": {id: c0ffee, podref: shop/web-1, ifname: net1}}}
//
// Source: k8snetworkplumbingwg/whereabouts 0.9.2, doc/crds.
//
// +kubebuilder:object:generate=true
// +groupName=whereabouts.cni.cncf.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource names (plural, lower case), as in API paths and RBAC rules.
const (
	IPPoolResource        = "ippools"
	ReservationResource   = "overlappingrangeipreservations"
	NodeSlicePoolResource = "nodeslicepools"
)

var (
	// SchemeGroupVersion is whereabouts.cni.cncf.io/v1alpha1.
	SchemeGroupVersion = schema.GroupVersion{Group: "whereabouts.cni.cncf.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &IPPool{}, &IPPoolList{}, &OverlappingRangeIPReservation{}, &OverlappingRangeIPReservationList{},
		&NodeSlicePool{}, &NodeSlicePoolList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

// IPPool has what is given out of a range.
//
// +kubebuilder:object:root=true
type IPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec IPPoolSpec `json:"spec"`
}

// IPPoolSpec has an entry for each address, by its distance from the range's first one.
type IPPoolSpec struct {
	Range       string                  `json:"range"`
	Allocations map[string]IPAllocation `json:"allocations"`
}

// IPAllocation is one address in use.
type IPAllocation struct {
	ContainerID string `json:"id"`
	PodRef      string `json:"podref"` // namespace/name
	IfName      string `json:"ifname,omitempty"`
}

// IPPoolList is a list of IPPool.
//
// +kubebuilder:object:root=true
type IPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []IPPool `json:"items"`
}

// OverlappingRangeIPReservation says that an address is in use, in whichever range. Its name is the address.
//
// +kubebuilder:object:root=true
type OverlappingRangeIPReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec OverlappingRangeIPReservationSpec `json:"spec"`
}

// OverlappingRangeIPReservationSpec says by which pod.
type OverlappingRangeIPReservationSpec struct {
	ContainerID string `json:"containerid,omitempty"`
	PodRef      string `json:"podref"`
	IfName      string `json:"ifname,omitempty"`
}

// OverlappingRangeIPReservationList is a list of OverlappingRangeIPReservation.
//
// +kubebuilder:object:root=true
type OverlappingRangeIPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []OverlappingRangeIPReservation `json:"items"`
}

// NodeSlicePool divides a range among nodes. The plugin's controller writes it.
//
// +kubebuilder:object:root=true
type NodeSlicePool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec NodeSlicePoolSpec `json:"spec,omitzero"`

	Status NodeSlicePoolStatus `json:"status,omitzero"`
}

// NodeSlicePoolSpec is the range.
type NodeSlicePoolSpec struct {
	Range     string `json:"range"`
	SliceSize string `json:"sliceSize"` // /26
}

// NodeSlicePoolStatus says which node has which part. An empty name: none has it.
type NodeSlicePoolStatus struct {
	Allocations []NodeSliceAllocation `json:"allocations"`
}

// NodeSliceAllocation is one part.
type NodeSliceAllocation struct {
	NodeName   string `json:"nodeName"`
	SliceRange string `json:"sliceRange"`
}

// NodeSlicePoolList is a list of NodeSlicePool.
//
// +kubebuilder:object:root=true
type NodeSlicePoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []NodeSlicePool `json:"items"`
}
