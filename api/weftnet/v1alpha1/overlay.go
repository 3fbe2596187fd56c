package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// OverlayNetwork is a network of its own between pods of all nodes, whatever lies between these. Pods get a NIC in it by a
// NetworkAttachmentDefinition of type cilium-cni that names it ({"type": "cilium-cni", "network": "blue"}).
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=overlaynetworks,singular=overlaynetwork,scope=Cluster,shortName=onet,categories=weftnet
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Subnets,type=string,JSONPath=`.spec.subnets`
// +kubebuilder:printcolumn:name=Number,type=integer,JSONPath=`.status.number`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type OverlayNetwork struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec OverlayNetworkSpec `json:"spec"`
	// +optional
	Status OverlayNetworkStatus `json:"status,omitzero"`
}

// OverlayNetworkSpec is the network.
type OverlayNetworkSpec struct {
	// Subnets are where its addresses lie: one of IPv4, one of IPv6, or both. Another network may have the same. They never change: NICs
	// have routes to them.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Format=cidr
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the subnets of an OverlayNetwork never change: NICs have routes to them; make another network"
	// +listType=atomic
	Subnets []string `json:"subnets"`
	// MTU of its NICs, in bytes of IP packet; 0, or more than the tunnel between nodes has room for: as much as that.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == 0 || self >= 1280",message="0, or 1280 and more: below that there is no IPv6 (RFC 8200)"
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	MTU int32 `json:"mtu,omitempty"`
}

// OverlayNetworkStatus is what the operator says of it.
type OverlayNetworkStatus struct {
	// Number tells it from other networks in the tunnel and in the kernel's maps: 1 to 32767, kept as long as the object lives. 0: it has
	// none yet, and no pod gets a NIC in it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32767
	Number int32 `json:"number,omitempty"`
	// Conditions: Enforced says whether pods can get NICs in it, and why not.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// OverlayNetworkList is a list of OverlayNetwork.
//
// +kubebuilder:object:root=true
type OverlayNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []OverlayNetwork `json:"items"`
}
