package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Annotations of the standard.
const (
	// NetworksAnnotation, on a pod, lists the networks to join.
	NetworksAnnotation = "k8s.v1.cni.cncf.io/networks"
	// NetworkStatusAnnotation, on a pod, lists the networks joined.
	NetworkStatusAnnotation = "k8s.v1.cni.cncf.io/network-status"
	// OldNetworkStatusAnnotation is what NetworkStatusAnnotation was called
	// before; some read no other.
	OldNetworkStatusAnnotation = "k8s.v1.cni.cncf.io/networks-status"
	// DefaultNetworkAnnotation, on a pod, names a network that takes the place
	// of the cluster's. It is Multus' own.
	DefaultNetworkAnnotation = "v1.multus-cni.io/default-network"
	// ResourceNameAnnotation, on a NetworkAttachmentDefinition, names the device
	// plugin resource that its pods take a device from.
	ResourceNameAnnotation = "k8s.v1.cni.cncf.io/resourceName"
	// WireAnnotation, on a NetworkAttachmentDefinition, names the wire that it
	// leads to. It is Weftnet's own: definitions with one name are of one wire,
	// whatever the device is called on each node.
	WireAnnotation = "weftnet.io/network"
)

// NetworkAttachmentDefinitionResource is the plural name, as in API paths.
const NetworkAttachmentDefinitionResource = "network-attachment-definitions"

var (
	// SchemeGroupVersion is k8s.cni.cncf.io/v1.
	SchemeGroupVersion = schema.GroupVersion{Group: "k8s.cni.cncf.io", Version: "v1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &NetworkAttachmentDefinition{}, &NetworkAttachmentDefinitionList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

// NetworkAttachmentDefinition defines a network that pods can join.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=network-attachment-definitions,singular=network-attachment-definition,scope=Namespaced,shortName=net-attach-def
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type NetworkAttachmentDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec NetworkAttachmentDefinitionSpec `json:"spec,omitzero"`
}

// NetworkAttachmentDefinitionSpec is the definition.
type NetworkAttachmentDefinitionSpec struct {
	// Config is a CNI configuration or configuration list in JSON. Empty means:
	// the configuration on the node's disk whose name is that of this object.
	// +optional
	Config string `json:"config,omitempty"`
}

// NetworkAttachmentDefinitionList is a list of NetworkAttachmentDefinition.
//
// +kubebuilder:object:root=true
type NetworkAttachmentDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []NetworkAttachmentDefinition `json:"items"`
}
