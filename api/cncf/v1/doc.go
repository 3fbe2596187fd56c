// Package v1 holds the Kubernetes object of API version k8s.cni.cncf.io/v1, the
// network attachment definition, as a Go type.
//
// The world modelled: a further network that pods can join by naming it in the
// annotation k8s.v1.cni.cncf.io/networks. The definition itself is a text: a
// CNI configuration, or a list of them, in JSON. What the text means is not
// decided here.
//
// Invariant: the schema accepts any text, as every other implementation of this
// interface does. A broken configuration shows when a pod asks for it.
//
// Example:
//
//	apiVersion: k8s.cni.cncf.io/v1
//	kind: NetworkAttachmentDefinition
//	metadata: {name: storage, namespace: prod}
//	spec:
//	  config: '{"cniVersion":"1.0.0","type":"macvlan","master":"ens224"}'
//
// Source: Network Plumbing Working Group, "Kubernetes Network Custom Resource
// Definition De-facto Standard", version 1.3.
//
// +kubebuilder:object:generate=true
// +groupName=k8s.cni.cncf.io
package v1
