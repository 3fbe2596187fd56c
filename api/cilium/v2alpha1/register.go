package v2alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource names (plural, lower case), as in API paths and RBAC rules.
const (
	EndpointSliceResource      = "ciliumendpointslices"
	LoadBalancerIPPoolResource = "ciliumloadbalancerippools"
	CIDRGroupResource          = "ciliumcidrgroups"
	PodIPPoolResource          = "ciliumpodippools"
)

var (
	// SchemeGroupVersion is cilium.io/v2alpha1.
	SchemeGroupVersion = schema.GroupVersion{Group: "cilium.io", Version: "v2alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&CiliumEndpointSlice{}, &CiliumEndpointSliceList{},
		&CiliumLoadBalancerIPPool{}, &CiliumLoadBalancerIPPoolList{},
		&CiliumCIDRGroup{}, &CiliumCIDRGroupList{},
		&CiliumPodIPPool{}, &CiliumPodIPPoolList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
