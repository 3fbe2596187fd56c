package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumIdentity gives a set of labels a number: the object's name, in decimal.
// The labels of an identity never change.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumidentities,singular=ciliumidentity,scope=Cluster,shortName=ciliumid,categories=cilium
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Namespace,type=string,JSONPath=`.security-labels.k8s:io\.kubernetes\.pod\.namespace`,description="Namespace of the endpoints with this identity"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumIdentity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// SecurityLabels is the label set, keys written source:key. It lies beside
	// metadata, not in a spec.
	SecurityLabels map[string]string `json:"security-labels"`
}

// CiliumIdentityList is a list of CiliumIdentity.
//
// +kubebuilder:object:root=true
type CiliumIdentityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumIdentity `json:"items"`
}
