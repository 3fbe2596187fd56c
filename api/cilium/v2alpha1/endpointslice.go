package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// CiliumEndpointSlice carries endpoints of one namespace in one object. The
// operator writes it; the slices of a namespace together hold each endpoint once.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumendpointslices,singular=ciliumendpointslice,scope=Cluster,shortName=ces,categories=cilium
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Namespace,type=string,JSONPath=`.namespace`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumEndpointSlice struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Namespace is the namespace of all the endpoints in the slice.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// Endpoints lists the endpoints.
	// +listType=atomic
	Endpoints []SlicedEndpoint `json:"endpoints"`
}

// CiliumEndpointSliceList is a list of CiliumEndpointSlice.
//
// +kubebuilder:object:root=true
type CiliumEndpointSliceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumEndpointSlice `json:"items"`
}

// SlicedEndpoint is the part of a CiliumEndpoint that other nodes need.
type SlicedEndpoint struct {
	// Name is the name of the pod and of its CiliumEndpoint.
	// +optional
	Name string `json:"name,omitempty"`

	// IdentityID is the number of the security identity.
	// +optional
	IdentityID int64 `json:"id,omitempty"`

	// Networking holds the addresses and the node.
	// +optional
	Networking *v2.EndpointNetworking `json:"networking,omitempty"`

	// Encryption tells with which key to encrypt.
	// +optional
	Encryption v2.EncryptionSpec `json:"encryption,omitzero"`

	// NamedPorts lists the named container ports.
	// +optional
	// +listType=atomic
	NamedPorts []v2.NamedPort `json:"named-ports,omitempty"`

	// ServiceAccount is the pod's service account.
	// +optional
	ServiceAccount string `json:"service-account,omitempty"`
}
