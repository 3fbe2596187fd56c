package v2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource names (plural, lower case), as in API paths and RBAC rules.
const (
	NetworkPolicyResource            = "ciliumnetworkpolicies"
	ClusterwideNetworkPolicyResource = "ciliumclusterwidenetworkpolicies"
	IdentityResource                 = "ciliumidentities"
	EndpointResource                 = "ciliumendpoints"
	NodeResource                     = "ciliumnodes"
	LoadBalancerIPPoolResource       = "ciliumloadbalancerippools"
	BandwidthPolicyResource          = "ciliumbandwidthpolicies"
	CIDRGroupResource                = "ciliumcidrgroups"
	LocalRedirectPolicyResource      = "ciliumlocalredirectpolicies"
)

var (
	// SchemeGroupVersion is cilium.io/v2.
	SchemeGroupVersion = schema.GroupVersion{Group: "cilium.io", Version: "v2"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme teaches a scheme the kinds of this package and their lists.
	AddToScheme = schemeBuilder.AddToScheme
)

// Resource qualifies a plural resource name with the group, for API errors.
func Resource(name string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(name).GroupResource()
}

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion,
		&CiliumNetworkPolicy{}, &CiliumNetworkPolicyList{},
		&CiliumClusterwideNetworkPolicy{}, &CiliumClusterwideNetworkPolicyList{},
		&CiliumIdentity{}, &CiliumIdentityList{},
		&CiliumEndpoint{}, &CiliumEndpointList{},
		&CiliumNode{}, &CiliumNodeList{},
		&CiliumLoadBalancerIPPool{}, &CiliumLoadBalancerIPPoolList{},
		&CiliumBandwidthPolicy{}, &CiliumBandwidthPolicyList{},
		&CiliumCIDRGroup{}, &CiliumCIDRGroupList{},
		&CiliumLocalRedirectPolicy{}, &CiliumLocalRedirectPolicyList{},
	)
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
