package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// CiliumLoadBalancerIPPool is the older version of v2.CiliumLoadBalancerIPPool.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumloadbalancerippools,singular=ciliumloadbalancerippool,scope=Cluster,shortName={ippools,ippool,lbippool,lbippools},categories=cilium
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name=Disabled,type=boolean,JSONPath=`.spec.disabled`
// +kubebuilder:printcolumn:name=Conflicting,type=string,JSONPath=`.status.conditions[?(@.type=="cilium.io/PoolConflict")].status`
// +kubebuilder:printcolumn:name="IPs Available",type=string,JSONPath=`.status.conditions[?(@.type=="cilium.io/IPsAvailable")].message`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumLoadBalancerIPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec v2.LoadBalancerIPPoolSpec `json:"spec"`

	// +optional
	Status v2.LoadBalancerIPPoolStatus `json:"status,omitzero"`
}

// CiliumLoadBalancerIPPoolList is a list of CiliumLoadBalancerIPPool.
//
// +kubebuilder:object:root=true
type CiliumLoadBalancerIPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumLoadBalancerIPPool `json:"items"`
}
