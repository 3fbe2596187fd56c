package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumBandwidthPolicy limits and marks what endpoints of one namespace send.
// It is ours: cilium.io upstream has no such kind, but users' YAML does.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumbandwidthpolicies,singular=ciliumbandwidthpolicy,scope=Namespaced,shortName=cbwp,categories={cilium,ciliumpolicy}
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name=Valid,type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`
type CiliumBandwidthPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec BandwidthPolicySpec `json:"spec"`

	// +optional
	Status PolicyStatus `json:"status,omitzero"`
}

// CiliumBandwidthPolicyList is a list of CiliumBandwidthPolicy.
//
// +kubebuilder:object:root=true
type CiliumBandwidthPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumBandwidthPolicy `json:"items"`
}

// BandwidthPolicySpec says whose traffic is limited, and how.
type BandwidthPolicySpec struct {
	// EndpointSelector chooses endpoints of the policy's namespace; {} all.
	EndpointSelector LabelSelector `json:"endpointSelector"`

	// Egress lists limits and marks of sent traffic.
	// +optional
	// +listType=atomic
	Egress []BandwidthRule `json:"egress,omitempty"`
}

// BandwidthRule is a rate limit, for all traffic of an endpoint or for one
// traffic class.
type BandwidthRule struct {
	// Bandwidth is in bits per second, a Kubernetes quantity, for example 100M
	// or 1.5G. Every text that the schema lets pass is one.
	// +kubebuilder:validation:MaxLength=18
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?([kMGT]|[KMGT]i)?$`
	Bandwidth string `json:"bandwidth"`

	// DSCP restricts the limit to packets with this traffic class (RFC 2474),
	// 0 to 63; absent is all packets.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=63
	DSCP *int32 `json:"dscp,omitempty"`
}
