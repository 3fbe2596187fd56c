package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Conditions of a CiliumLoadBalancerIPPool. The counts stand in the message.
const (
	PoolConflict     = "cilium.io/PoolConflict"
	PoolIPsTotal     = "cilium.io/IPsTotal"
	PoolIPsAvailable = "cilium.io/IPsAvailable"
	PoolIPsUsed      = "cilium.io/IPsUsed"
)

// CiliumLoadBalancerIPPool holds addresses for services of type LoadBalancer.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumloadbalancerippools,singular=ciliumloadbalancerippool,scope=Cluster,shortName={ippools,ippool,lbippool,lbippools},categories=cilium
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Disabled,type=boolean,JSONPath=`.spec.disabled`
// +kubebuilder:printcolumn:name=Conflicting,type=string,JSONPath=`.status.conditions[?(@.type=="cilium.io/PoolConflict")].status`
// +kubebuilder:printcolumn:name="IPs Available",type=string,JSONPath=`.status.conditions[?(@.type=="cilium.io/IPsAvailable")].message`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumLoadBalancerIPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec LoadBalancerIPPoolSpec `json:"spec"`

	// +optional
	Status LoadBalancerIPPoolStatus `json:"status,omitzero"`
}

// CiliumLoadBalancerIPPoolList is a list of CiliumLoadBalancerIPPool.
//
// +kubebuilder:object:root=true
type CiliumLoadBalancerIPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumLoadBalancerIPPool `json:"items"`
}

// LoadBalancerIPPoolSpec says which addresses are for which services.
type LoadBalancerIPPoolSpec struct {
	// ServiceSelector chooses the services; absent chooses all. Beside the
	// services' labels it knows io.kubernetes.service.namespace and
	// io.kubernetes.service.name.
	// +optional
	ServiceSelector *LabelSelector `json:"serviceSelector,omitempty"`

	// AllowFirstLastIPs tells whether the first and last address of each cidr
	// are given out. Default Yes.
	// +optional
	// +kubebuilder:validation:Enum=Yes;No
	AllowFirstLastIPs string `json:"allowFirstLastIPs,omitempty"`

	// Blocks lists the addresses.
	// +optional
	Blocks []IPBlock `json:"blocks,omitempty"`

	// CIDRs is the older name of blocks. Both lists count.
	// +optional
	CIDRs []IPBlock `json:"cidrs,omitempty"`

	// Disabled stops giving out addresses; services keep those they have.
	// +optional
	// +kubebuilder:default=false
	Disabled bool `json:"disabled,omitempty"`
}

// AllBlocks returns blocks followed by cidrs.
func (s *LoadBalancerIPPoolSpec) AllBlocks() []IPBlock {
	all := make([]IPBlock, 0, len(s.Blocks)+len(s.CIDRs))
	return append(append(all, s.Blocks...), s.CIDRs...)
}

// IPBlock is a prefix, or a range from start to stop (both included). A start
// alone is one address.
type IPBlock struct {
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`
	CIDR string `json:"cidr,omitempty"`
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F:.]+$`
	Start string `json:"start,omitempty"`
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F:.]+$`
	Stop string `json:"stop,omitempty"`
}

// LoadBalancerIPPoolStatus is written by the operator.
type LoadBalancerIPPoolStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
