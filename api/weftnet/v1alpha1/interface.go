package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodInterface says which addresses a pod has on a network beside the pod network. The agent of the pod's node writes it, and those of all
// others read it. The pod owns it, so it goes with the pod.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=podinterfaces,singular=podinterface,scope=Namespaced,shortName=podif,categories=weftnet
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Pod,type=string,JSONPath=`.spec.pod`
// +kubebuilder:printcolumn:name=NIC,type=string,JSONPath=`.spec.interface`
// +kubebuilder:printcolumn:name=Wire,type=string,JSONPath=`.spec.wire`
// +kubebuilder:printcolumn:name=Addresses,type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=`.spec.node`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type PodInterface struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec never changes: of two objects that claim one address the older one has it, and none becomes old by a later claim.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="what a PodInterface says never changes; another address is another object"
	Spec PodInterfaceSpec `json:"spec"`
}

// PodInterfaceSpec is one NIC.
type PodInterfaceSpec struct {
	// Pod is the name of the pod, in the namespace of this object.
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod"`
	// Node is the pod's node, which alone speaks for it.
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`
	// Interface is the NIC's name in the pod.
	// +kubebuilder:validation:MaxLength=15
	Interface string `json:"interface"`
	// Network is namespace/name of the NetworkAttachmentDefinition.
	// +kubebuilder:validation:MaxLength=512
	Network string `json:"network"`
	// Wire is where the NIC leads: an uplink with its VLAN ("ens192, VLAN 100"), or the name that weftnet.io/network gives it. NICs of one
	// wire are peers, by whatever definitions they are made.
	// +kubebuilder:validation:MaxLength=512
	Wire string `json:"wire"`
	// Overlay is the number of the OverlayNetwork that the NIC is in, as the network's status had it when the NIC was made; 0: it is in none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32767
	Overlay int32 `json:"overlay,omitempty"`
	// Addresses of the NIC, without the lengths of their subnets.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Addresses []string `json:"addresses"`
	// MAC of the NIC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MAC string `json:"mac,omitempty"`
}

// PodInterfaceList is a list of PodInterface.
//
// +kubebuilder:object:root=true
type PodInterfaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []PodInterface `json:"items"`
}
