package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v2 "weftnet.io/weftnet/api/cilium/v2"
)

// CiliumCIDRGroup is the older version of v2.CiliumCIDRGroup.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumcidrgroups,singular=ciliumcidrgroup,scope=Cluster,shortName={ccg},categories={cilium}
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumCIDRGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec v2.CIDRGroupSpec `json:"spec"`
}

// CiliumCIDRGroupList is a list of CiliumCIDRGroup.
//
// +kubebuilder:object:root=true
type CiliumCIDRGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumCIDRGroup `json:"items"`
}
