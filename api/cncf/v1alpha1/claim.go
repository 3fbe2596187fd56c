// Package v1alpha1 holds the Kubernetes object of API version k8s.cni.cncf.io/v1alpha1, the IPAM claim, as a Go type.
//
// The world modelled: addresses that stay with a virtual machine on one of its networks while its pods come and go. A pod names the claim in
// its networks annotation (ipam-claim-reference); which addresses it got stands in the claim's status.
//
// Invariant: the network and interface of a claim never change.
//
// Example:
//
//	apiVersion: k8s.cni.cncf.io/v1alpha1
//	kind: IPAMClaim
//	metadata: {name: db.storage, namespace: prod}
//	spec: {network: storage, interface: pod6a2b3c4d5e6}
//	status: {ips: [10.0.200.17/24], ownerPod: virt-launcher-db-x7k2p}
//
// Source: k8snetworkplumbingwg/ipamclaims, pkg/crd/ipamclaims/v1alpha1.
//
// +kubebuilder:object:generate=true
// +groupName=k8s.cni.cncf.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// IPAMClaimResource is the plural name, as in API paths.
const IPAMClaimResource = "ipamclaims"

var (
	// SchemeGroupVersion is k8s.cni.cncf.io/v1alpha1.
	SchemeGroupVersion = schema.GroupVersion{Group: "k8s.cni.cncf.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &IPAMClaim{}, &IPAMClaimList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

// IPAMClaim keeps the addresses of a virtual machine's NIC.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ipamclaims,singular=ipamclaim,scope=Namespaced
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
type IPAMClaim struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec IPAMClaimSpec `json:"spec,omitzero"`

	// +optional
	Status IPAMClaimStatus `json:"status,omitzero"`
}

// IPAMClaimSpec says of which NIC.
type IPAMClaimSpec struct {
	// Network is the name of the network: that in the configuration.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="Network is immutable"
	Network string `json:"network"`
	// Interface is that of the pod.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="Interface is immutable"
	Interface string `json:"interface"`
	// IPRequests are the addresses to give, one of each family at most.
	// +optional
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="IPRequests are immutable"
	IPRequests []string `json:"ipRequests,omitempty"`
}

// IPAMClaimStatus says which addresses it has.
type IPAMClaimStatus struct {
	// IPs come with the length of their subnets.
	// +kubebuilder:validation:MaxItems=2
	IPs []string `json:"ips"`
	// OwnerPod is the pod that has them.
	// +optional
	OwnerPod string `json:"ownerPod"`
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// IPAMClaimList is a list of IPAMClaim.
//
// +kubebuilder:object:root=true
type IPAMClaimList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []IPAMClaim `json:"items"`
}
