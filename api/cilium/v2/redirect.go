package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumLocalRedirectPolicy leads what is sent to an address, or to a Service of
// its namespace, to pods of its namespace on the sender's node.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumlocalredirectpolicies,singular=ciliumlocalredirectpolicy,scope=Namespaced,shortName={clrp},categories={cilium,ciliumpolicy}
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumLocalRedirectPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Spec LocalRedirectPolicySpec `json:"spec,omitzero"`

	// +optional
	Status LocalRedirectPolicyStatus `json:"status,omitzero"`
}

// CiliumLocalRedirectPolicyList is a list of CiliumLocalRedirectPolicy.
//
// +kubebuilder:object:root=true
type CiliumLocalRedirectPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumLocalRedirectPolicy `json:"items"`
}

// LocalRedirectPolicySpec says what is redirected, and where to.
type LocalRedirectPolicySpec struct {
	// RedirectFrontend says what is redirected: by addressMatcher or by
	// serviceMatcher, one of the two.
	RedirectFrontend RedirectFrontend `json:"redirectFrontend"`

	// RedirectBackend says where it is redirected to.
	RedirectBackend RedirectBackend `json:"redirectBackend"`

	// SkipRedirectFromBackend leads what the chosen pods themselves send on to
	// where it would go without the policy.
	// +optional
	// +kubebuilder:default=false
	SkipRedirectFromBackend bool `json:"skipRedirectFromBackend,omitempty"`

	// Description is for people.
	// +optional
	Description string `json:"description,omitempty"`
}

// RedirectFrontend has exactly one of its fields.
type RedirectFrontend struct {
	// AddressMatcher names an address that is no Service's.
	// +optional
	AddressMatcher *RedirectAddress `json:"addressMatcher,omitempty"`

	// ServiceMatcher names a Service with a cluster address.
	// +optional
	ServiceMatcher *RedirectService `json:"serviceMatcher,omitempty"`
}

// RedirectAddress is an address with ports.
type RedirectAddress struct {
	// IP is an IPv4 or IPv6 address, for example 169.254.169.254.
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F:.]+$`
	IP string `json:"ip"`

	// ToPorts lists its ports. Several must have names, by which they are joined
	// with those of redirectBackend.
	ToPorts []RedirectPort `json:"toPorts"`
}

// RedirectService is a Service.
type RedirectService struct {
	// Name of the Service.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"serviceName"`

	// Namespace of the Service, which is that of the policy.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`

	// ToPorts lists those of its ports that are redirected; absent: all. Several
	// must have names.
	// +optional
	ToPorts []RedirectPort `json:"toPorts,omitempty"`
}

// RedirectBackend chooses the pods and their ports.
type RedirectBackend struct {
	// LocalEndpointSelector chooses pods of the policy's namespace; on each node
	// those of that node count.
	LocalEndpointSelector LabelSelector `json:"localEndpointSelector"`

	// ToPorts lists ports of these pods. Several must have names.
	ToPorts []RedirectPort `json:"toPorts"`
}

// RedirectPort is a port with its protocol.
type RedirectPort struct {
	// Port is a number.
	// +kubebuilder:validation:Pattern=`^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$`
	Port string `json:"port"`

	// +kubebuilder:validation:Enum=TCP;UDP
	Protocol string `json:"protocol"`

	// Name joins a port of the frontend with one of the backend; upper and lower
	// case are the same.
	// +optional
	// +kubebuilder:validation:Pattern=`^([0-9]{1,4})|([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*$`
	Name string `json:"name,omitempty"`
}

// LocalRedirectPolicyStatus has what other versions write.
type LocalRedirectPolicyStatus struct {
	// +optional
	OK bool `json:"ok,omitempty"`
}
