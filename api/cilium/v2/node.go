package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumNode is what a node tells the others about itself, and which pod prefixes the operator has given it. It has the name of its Kubernetes node.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumnodes,singular=ciliumnode,scope=Cluster,shortName={cn,ciliumn},categories=cilium
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=CiliumInternalIP,type=string,JSONPath=`.spec.addresses[?(@.type=="CiliumInternalIP")].ip`
// +kubebuilder:printcolumn:name=InternalIP,type=string,JSONPath=`.spec.addresses[?(@.type=="InternalIP")].ip`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumNode struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec NodeSpec `json:"spec"`

	// +optional
	Status NodeStatus `json:"status,omitzero"`
}

// CiliumNodeList is a list of CiliumNode.
//
// +kubebuilder:object:root=true
type CiliumNodeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumNode `json:"items"`
}

// NodeSpec describes a node. The agent of the node owns all but ipam.podCIDRs, which the operator owns.
type NodeSpec struct {
	// InstanceID is the cloud provider's name of the machine.
	// +optional
	InstanceID string `json:"instance-id,omitempty"`

	// BootID changes at every boot (/proc/sys/kernel/random/boot_id).
	// +optional
	BootID string `json:"bootid,omitempty"`

	// Addresses lists the node's addresses.
	// +optional
	// +listType=atomic
	Addresses []NodeAddress `json:"addresses,omitempty"`

	// HealthAddressing holds the addresses that health probes go to.
	// +optional
	HealthAddressing NodeAddressPair `json:"health,omitzero"`

	// IngressAddressing holds the addresses of the node's ingress proxy.
	// +optional
	IngressAddressing NodeAddressPair `json:"ingress,omitzero"`

	// Encryption tells the others with which key to encrypt.
	// +optional
	Encryption EncryptionSpec `json:"encryption,omitzero"`

	// IPAM holds the pod prefixes of the node.
	// +optional
	IPAM NodeIPAM `json:"ipam,omitzero"`

	// NodeIdentity is the identity number of the node.
	// +optional
	NodeIdentity int64 `json:"nodeidentity,omitempty"`
}

// Types of node addresses, beside those that Kubernetes itself has.
const (
	NodeInternalIP       = "InternalIP"
	NodeExternalIP       = "ExternalIP"
	NodeCiliumInternalIP = "CiliumInternalIP"
)

// NodeAddress is one address of a node.
type NodeAddress struct {
	// Type is InternalIP, ExternalIP (both as in the Kubernetes node) or
	// CiliumInternalIP (the node's own address among its pods).
	// +optional
	Type string `json:"type,omitempty"`

	// +optional
	IP string `json:"ip,omitempty"`
}

// NodeAddressPair holds an address of each family, or of one.
type NodeAddressPair struct {
	// +optional
	IPV4 string `json:"ipv4,omitempty"`
	// +optional
	IPV6 string `json:"ipv6,omitempty"`
}

// NodeIPAM holds the pod prefixes of a node.
type NodeIPAM struct {
	// PodCIDRs lists prefixes, for example 10.244.1.0/24 and fd00:244:0:1::/64.
	// No two nodes share an address.
	// +optional
	// +listType=atomic
	PodCIDRs []string `json:"podCIDRs,omitempty"`

	// Pools are the parts of CiliumPodIPPools that the node needs, and has.
	// +optional
	Pools NodePools `json:"pools,omitzero"`
}

// NodePools are parts of CiliumPodIPPools.
type NodePools struct {
	// Requested is written by the agent of the node.
	// +optional
	// +listType=map
	// +listMapKey=pool
	Requested []NodePoolRequest `json:"requested,omitempty"`
	// Allocated is written by the operator.
	// +optional
	// +listType=map
	// +listMapKey=pool
	Allocated []NodePoolAllocation `json:"allocated,omitempty"`
}

// NodePoolRequest says how many addresses of a pool a node needs, of each family.
type NodePoolRequest struct {
	// Pool is the name of the CiliumPodIPPool.
	// +kubebuilder:validation:MinLength=1
	Pool string `json:"pool"`
	// +optional
	Needed NodePoolDemand `json:"needed,omitzero"`
}

// NodePoolDemand counts addresses.
type NodePoolDemand struct {
	IPv4Addrs int `json:"ipv4-addrs,omitempty"` // +optional
	IPv6Addrs int `json:"ipv6-addrs,omitempty"` // +optional
}

// NodePoolAllocation are the prefixes of a pool that a node has.
type NodePoolAllocation struct {
	// Pool is the name of the CiliumPodIPPool.
	// +kubebuilder:validation:MinLength=1
	Pool string `json:"pool"`
	// CIDRs are prefixes such as 10.20.0.0/27 and fd00:20::/124. No two nodes share an address.
	// +optional
	CIDRs []string `json:"cidrs,omitempty"`
}

// NodeStatus is written by the operator.
type NodeStatus struct {
	// +optional
	IPAM NodeIPAMStatus `json:"ipam,omitzero"`
}

// NodeIPAMStatus tells how giving prefixes to the node went.
type NodeIPAMStatus struct {
	// +optional
	OperatorStatus OperatorStatus `json:"operator-status,omitzero"`
}

// OperatorStatus is the operator's word on a node.
type OperatorStatus struct {
	// Error tells why the node has no prefix; empty is success.
	// +optional
	Error string `json:"error,omitempty"`
}
