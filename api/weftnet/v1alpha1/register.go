package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource names (plural, lower case), as in API paths and RBAC rules.
const (
	AddressBlockResource  = "addressblocks"
	StickyAddressResource = "stickyaddresses"
	PodInterfaceResource  = "podinterfaces"

	OverlayNetworkResource = "overlaynetworks"
)

var (
	// SchemeGroupVersion is weftnet.io/v1alpha1.
	SchemeGroupVersion = schema.GroupVersion{Group: "weftnet.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &AddressBlock{}, &AddressBlockList{}, &StickyAddress{}, &StickyAddressList{}, &PodInterface{}, &PodInterfaceList{},
		&OverlayNetwork{}, &OverlayNetworkList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
