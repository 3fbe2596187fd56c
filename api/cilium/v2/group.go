package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumCIDRGroup is a list of prefixes that policies name by the group's name or labels.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumcidrgroups,singular=ciliumcidrgroup,scope=Cluster,shortName={ccg},categories={cilium}
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumCIDRGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec CIDRGroupSpec `json:"spec"`
}

// CIDRGroupSpec says which prefixes are in a group.
type CIDRGroupSpec struct {
	// ExternalCIDRs are prefixes, for example 10.0.0.0/8 or 2001:db8::/32.
	//
	// +listType=set
	// +kubebuilder:validation:items:Pattern=`^[0-9a-fA-F:.]+/[0-9]{1,3}$`
	ExternalCIDRs []string `json:"externalCIDRs"`
}

// CiliumCIDRGroupList is a list of CiliumCIDRGroup.
//
// +kubebuilder:object:root=true
type CiliumCIDRGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumCIDRGroup `json:"items"`
}
