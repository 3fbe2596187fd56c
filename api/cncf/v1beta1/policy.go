// Package v1beta1 holds the Kubernetes object of API version k8s.cni.cncf.io/v1beta1, the policy of further networks, as a Go type.
//
// The world modelled: what a NetworkPolicy says of the pod network, said of the networks that annotation k8s.v1.cni.cncf.io/policy-for
// names. A pod that it selects is isolated on these alone, and its peers are who has addresses there.
//
// Invariant: its spec is that of a NetworkPolicy, and means the same but for the networks.
//
// Example:
//
//	apiVersion: k8s.cni.cncf.io/v1beta1
//	kind: MultiNetworkPolicy
//	metadata:
//	  name: db
//	  namespace: prod
//	  annotations: {k8s.v1.cni.cncf.io/policy-for: storage}
//	spec:
//	  podSelector: {matchLabels: {app: db}}
//	  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
//
// Source: k8snetworkplumbingwg/multi-networkpolicy, scheme.yml.
//
// +kubebuilder:object:generate=true
// +groupName=k8s.cni.cncf.io
package v1beta1

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// PolicyForAnnotation, on a policy, names the networks that it is for: definitions, as name or namespace/name, with commas between.
const PolicyForAnnotation = "k8s.v1.cni.cncf.io/policy-for"

// MultiNetworkPolicyResource is the plural name, as in API paths.
const MultiNetworkPolicyResource = "multi-networkpolicies"

var (
	// SchemeGroupVersion is k8s.cni.cncf.io/v1beta1.
	SchemeGroupVersion = schema.GroupVersion{Group: "k8s.cni.cncf.io", Version: "v1beta1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &MultiNetworkPolicy{}, &MultiNetworkPolicyList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

// MultiNetworkPolicy is a NetworkPolicy of further networks.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=multi-networkpolicies,singular=multi-networkpolicy,scope=Namespaced,shortName=multi-policy
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Networks,type=string,JSONPath=`.metadata.annotations.k8s\.v1\.cni\.cncf\.io/policy-for`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type MultiNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec networkingv1.NetworkPolicySpec `json:"spec,omitzero"`
}

// MultiNetworkPolicyList is a list of MultiNetworkPolicy.
//
// +kubebuilder:object:root=true
type MultiNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []MultiNetworkPolicy `json:"items"`
}
