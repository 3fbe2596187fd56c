package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AddressBlock is 16 addresses of a space, and what they are used for. Agents write it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=addressblocks,singular=addressblock,scope=Cluster,shortName=ablk,categories=weftnet
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Space,type=string,JSONPath=`.spec.space`
// +kubebuilder:printcolumn:name=Prefix,type=string,JSONPath=`.spec.prefix`
// +kubebuilder:printcolumn:name=Node,type=string,JSONPath=`.spec.node`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type AddressBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec AddressBlockSpec `json:"spec"`
}

// AddressBlockSpec is the block.
type AddressBlockSpec struct {
	// Space is the network_name of the networks that give out of it; empty is a space like any other. In one space no
	// address is given twice.
	// +optional
	Space string `json:"space,omitempty"`
	// Prefix is a /28 of IPv4 or a /124 of IPv6.
	// +kubebuilder:validation:Format=cidr
	Prefix string `json:"prefix"`
	// Node gives out of the block; others only when they find nothing else. Empty: it has been given back, and the next node
	// that needs one takes it.
	// +optional
	Node string `json:"node,omitempty"`
	// Used has an entry for each address that is in use, is kept, or rests.
	// +optional
	Used map[string]AddressUse `json:"used,omitempty"`
}

// AddressUse says what an address is used for.
type AddressUse struct {
	// Owner is the workload that keeps the address while it has no pod; empty: its holder alone.
	// +optional
	Owner string `json:"owner,omitempty"`
	// Holders are the NICs with the address: one, or two while a virtual machine migrates.
	// +optional
	Holders []AddressHolder `json:"holders,omitempty"`
	// Since is when the entry was made.
	// +optional
	Since metav1.Time `json:"since,omitzero"`
	// Back is when the last holder gave it back.
	// +optional
	Back *metav1.Time `json:"back,omitempty"`
}

// AddressHolder is one NIC.
type AddressHolder struct {
	Node      string `json:"node"`
	Container string `json:"container"`
	Interface string `json:"interface"`
	// Pod is namespace/name.
	Pod string `json:"pod"`
}

// AddressBlockList is a list of AddressBlock.
//
// +kubebuilder:object:root=true
type AddressBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []AddressBlock `json:"items"`
}

// StickyAddress says which addresses a workload has on one NIC, for as long as it lives: its object is the owner, so it goes along.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=stickyaddresses,singular=stickyaddress,scope=Namespaced,shortName=sticky,categories=weftnet
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Owner,type=string,JSONPath=`.spec.owner`
// +kubebuilder:printcolumn:name=Network,type=string,JSONPath=`.spec.network`
// +kubebuilder:printcolumn:name=Addresses,type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type StickyAddress struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec StickyAddressSpec `json:"spec"`
}

// StickyAddressSpec is what the workload has.
type StickyAddressSpec struct {
	// Owner is as in blocks.
	Owner string `json:"owner"`
	// Network is namespace/name of the NetworkAttachmentDefinition.
	Network string `json:"network"`
	// Space is that of the blocks.
	// +optional
	Space string `json:"space,omitempty"`
	// Interface is that of the pod.
	Interface string `json:"interface"`
	// Addresses come with the length of their subnets, one of each range of the network.
	Addresses []string `json:"addresses"`
}

// StickyAddressList is a list of StickyAddress.
//
// +kubebuilder:object:root=true
type StickyAddressList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []StickyAddress `json:"items"`
}
