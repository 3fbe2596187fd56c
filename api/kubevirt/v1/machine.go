package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Plural names, as in API paths.
const (
	MachineResource  = "virtualmachines"
	InstanceResource = "virtualmachineinstances"
)

var (
	// SchemeGroupVersion is kubevirt.io/v1.
	SchemeGroupVersion = schema.GroupVersion{Group: "kubevirt.io", Version: "v1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &VirtualMachine{}, &VirtualMachineList{}, &VirtualMachineInstance{}, &VirtualMachineInstanceList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}

// VirtualMachine is a machine, on or off.
//
// +kubebuilder:object:root=true
type VirtualMachine struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec VirtualMachineSpec `json:"spec,omitzero"`
}

// VirtualMachineSpec is what the machine is to be.
type VirtualMachineSpec struct {
	// Template is what instances of it are made of. A running one is not made
	// anew when this changes.
	// +optional
	Template *Template `json:"template,omitempty"`
}

// Template is what an instance is made of.
type Template struct {
	// Metadata has labels and annotations that instances get, and their pods.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +optional
	Spec Instance `json:"spec,omitzero"`
}

// VirtualMachineInstance is a machine that is on.
//
// +kubebuilder:object:root=true
type VirtualMachineInstance struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec Instance `json:"spec,omitzero"`
}

// Instance is what one is.
type Instance struct {
	// Networks are those that the guest has NICs in.
	// +optional
	Networks []Network `json:"networks,omitempty"`

	// +optional
	Domain Domain `json:"domain,omitzero"`
}

// Network is one that the guest has a NIC in. It belongs to the interface of its
// name.
type Network struct {
	Name string `json:"name"`

	// Pod is the pod network.
	// +optional
	Pod *PodNetwork `json:"pod,omitempty"`

	// Multus is a network of a NetworkAttachmentDefinition.
	// +optional
	Multus *MultusNetwork `json:"multus,omitempty"`
}

// PodNetwork is the cluster's network.
type PodNetwork struct{}

// MultusNetwork is a further network.
type MultusNetwork struct {
	// NetworkName is [NAMESPACE/]NAME of a NetworkAttachmentDefinition; without a
	// namespace it is of the machine's.
	NetworkName string `json:"networkName"`

	// Default says that it takes the place of the cluster's network.
	// +optional
	Default bool `json:"default,omitempty"`
}

// Domain is the machine as its guest sees it.
type Domain struct {
	// +optional
	Devices Devices `json:"devices,omitzero"`
}

// Devices are those of the guest.
type Devices struct {
	// +optional
	Interfaces []Interface `json:"interfaces,omitempty"`
}

// Interface is a NIC of the guest.
type Interface struct {
	// Name is that of its network.
	Name string `json:"name"`

	// MacAddress is that of the guest's NIC: six bytes, as 02:00:00:00:00:01 or
	// 02-00-00-00-00-01. Empty: any.
	// +optional
	MacAddress string `json:"macAddress,omitempty"`
}

// VirtualMachineList is a list of VirtualMachine.
//
// +kubebuilder:object:root=true
type VirtualMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []VirtualMachine `json:"items"`
}

// VirtualMachineInstanceList is a list of VirtualMachineInstance.
//
// +kubebuilder:object:root=true
type VirtualMachineInstanceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []VirtualMachineInstance `json:"items"`
}
