package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CiliumPodIPPool holds addresses of the pod network for pods that ask for them by annotation ipam.cilium.io/ip-pool.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumpodippools,singular=ciliumpodippool,scope=Cluster,shortName={cpip},categories=cilium
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumPodIPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec PodIPPoolSpec `json:"spec"`
}

// CiliumPodIPPoolList is a list of CiliumPodIPPool.
//
// +kubebuilder:object:root=true
type CiliumPodIPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumPodIPPool `json:"items"`
}

// PodIPPoolSpec says which addresses. A family that is left out has none.
type PodIPPoolSpec struct {
	// +optional
	IPv4 *PodIPPoolIPv4 `json:"ipv4,omitempty"`
	// +optional
	IPv6 *PodIPPoolIPv6 `json:"ipv6,omitempty"`
}

// PodIPPoolIPv4 is the IPv4 part of a pool.
type PodIPPoolIPv4 struct {
	// CIDRs are the prefixes of the pool.
	// +kubebuilder:validation:MinItems=1
	CIDRs []string `json:"cidrs"`
	// MaskSize is the length of the prefixes that nodes get of it.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	MaskSize uint8 `json:"maskSize"`
}

// PodIPPoolIPv6 is the IPv6 part of a pool.
type PodIPPoolIPv6 struct {
	// CIDRs are the prefixes of the pool.
	// +kubebuilder:validation:MinItems=1
	CIDRs []string `json:"cidrs"`
	// MaskSize is the length of the prefixes that nodes get of it.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	MaskSize uint8 `json:"maskSize"`
}
