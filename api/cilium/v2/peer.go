package v2

// LabelSelector chooses by labels; both members must match, {} matches all.
//
// Keys are written source:key; a key without a source matches any source. (So
// metav1.LabelSelector would not do: its keys cannot contain a colon.)
type LabelSelector struct {
	// MatchLabels lists labels that must be present with these values.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// MatchExpressions lists conditions that must all hold.
	// +optional
	// +listType=atomic
	MatchExpressions []LabelRequirement `json:"matchExpressions,omitempty"`
}

// Operators of a LabelRequirement.
const (
	LabelIn           = "In"
	LabelNotIn        = "NotIn"
	LabelExists       = "Exists"
	LabelDoesNotExist = "DoesNotExist"
)

// LabelRequirement is one condition on one label key.
type LabelRequirement struct {
	Key string `json:"key"`

	// +kubebuilder:validation:Enum=In;NotIn;Exists;DoesNotExist
	Operator string `json:"operator"`

	// Values is non-empty for In and NotIn, empty otherwise.
	// +optional
	// +listType=atomic
	Values []string `json:"values,omitempty"`
}

// IngressPeer chooses the peers that traffic may come from. At most one member of
// one element is set. A member that is present but empty ([]) chooses no peer.
type IngressPeer struct {
	// FromEndpoints chooses pods and virtual machines by labels. In a
	// CiliumNetworkPolicy a selector stays in the policy's namespace unless it
	// names another.
	// +optional
	FromEndpoints []LabelSelector `json:"fromEndpoints,omitzero"`

	// FromRequires adds a condition on every other peer. Removed upstream; kept
	// so that old policies fail closed by name.
	// +optional
	FromRequires []LabelSelector `json:"fromRequires,omitzero"`

	// FromCIDR chooses outside addresses by prefix or single address.
	// +optional
	// +kubebuilder:validation:items:Pattern=`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`
	FromCIDR []string `json:"fromCIDR,omitzero"`

	// FromCIDRSet chooses outside addresses by prefix, with exceptions.
	// +optional
	FromCIDRSet []CIDRRule `json:"fromCIDRSet,omitzero"`

	// FromEntities chooses by what a peer is, for example world or host.
	// +optional
	// +kubebuilder:validation:items:Enum=all;world;world-ipv4;world-ipv6;cluster;cluster-mesh;host;init;ingress;unmanaged;remote-node;health;none;kube-apiserver
	FromEntities []string `json:"fromEntities,omitzero"`

	// FromGroups chooses by groups that a cloud provider keeps.
	// +optional
	FromGroups []Group `json:"fromGroups,omitzero"`

	// FromNodes chooses nodes by their labels.
	// +optional
	FromNodes []LabelSelector `json:"fromNodes,omitzero"`
}

// EgressPeer chooses the peers that traffic may go to. At most one member of one
// element is set. A member that is present but empty ([]) chooses no peer.
type EgressPeer struct {
	// ToEndpoints chooses pods and virtual machines by labels. In a
	// CiliumNetworkPolicy a selector stays in the policy's namespace unless it
	// names another.
	// +optional
	ToEndpoints []LabelSelector `json:"toEndpoints,omitzero"`

	// ToRequires adds a condition on every other peer. Removed upstream; kept
	// so that old policies fail closed by name.
	// +optional
	ToRequires []LabelSelector `json:"toRequires,omitzero"`

	// ToCIDR chooses outside addresses by prefix or single address.
	// +optional
	// +kubebuilder:validation:items:Pattern=`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`
	ToCIDR []string `json:"toCIDR,omitzero"`

	// ToCIDRSet chooses outside addresses by prefix, with exceptions.
	// +optional
	ToCIDRSet []CIDRRule `json:"toCIDRSet,omitzero"`

	// ToEntities chooses by what a peer is, for example world or kube-apiserver.
	// +optional
	// +kubebuilder:validation:items:Enum=all;world;world-ipv4;world-ipv6;cluster;cluster-mesh;host;init;ingress;unmanaged;remote-node;health;none;kube-apiserver
	ToEntities []string `json:"toEntities,omitzero"`

	// ToServices chooses the backends of Kubernetes services.
	// +optional
	ToServices []ServiceSelector `json:"toServices,omitzero"`

	// ToGroups chooses by groups that a cloud provider keeps.
	// +optional
	ToGroups []Group `json:"toGroups,omitzero"`

	// ToNodes chooses nodes by their labels.
	// +optional
	ToNodes []LabelSelector `json:"toNodes,omitzero"`
}

// CIDRRule chooses outside addresses: exactly one of cidr, cidrGroupRef and
// cidrGroupSelector, less the exceptions.
type CIDRRule struct {
	// CIDR is a prefix, for example 10.0.0.0/8 or 2001:db8::/32.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`
	CIDR string `json:"cidr,omitempty"`

	// CIDRGroupRef names a CiliumCIDRGroup.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CIDRGroupRef string `json:"cidrGroupRef,omitempty"`

	// CIDRGroupSelector chooses CiliumCIDRGroups by labels.
	// +optional
	CIDRGroupSelector *LabelSelector `json:"cidrGroupSelector,omitempty"`

	// Except lists longer prefixes inside cidr that this element leaves out.
	// +optional
	// +kubebuilder:validation:items:Pattern=`^[0-9a-fA-F:.]+(/[0-9]{1,3})?$`
	Except []string `json:"except,omitempty"`
}

// ServiceSelector chooses services by name or by labels.
type ServiceSelector struct {
	// Service names one service.
	// +optional
	Service *ServiceName `json:"k8sService,omitempty"`

	// ServiceLabels chooses services by labels.
	// +optional
	ServiceLabels *ServiceLabels `json:"k8sServiceSelector,omitempty"`
}

// ServiceName names a service.
type ServiceName struct {
	// +optional
	ServiceName string `json:"serviceName,omitempty"`
	// Namespace defaults to that of the policy.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// ServiceLabels chooses services by labels, in one namespace.
type ServiceLabels struct {
	Selector LabelSelector `json:"selector"`
	// Namespace defaults to that of the policy.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// Group chooses addresses by groups that a cloud provider keeps.
type Group struct {
	// +optional
	AWS *AWSGroup `json:"aws,omitempty"`
}

// AWSGroup chooses the addresses of Amazon EC2 instances.
type AWSGroup struct {
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// +optional
	SecurityGroupsIDs []string `json:"securityGroupsIds,omitempty"`
	// +optional
	SecurityGroupsNames []string `json:"securityGroupsNames,omitempty"`
	// +optional
	Region string `json:"region,omitempty"`
}

// FQDNSelector chooses DNS names: an exact name or a pattern, not both.
type FQDNSelector struct {
	// MatchName is a full name; case and a trailing dot do not matter.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_.]+$`
	MatchName string `json:"matchName,omitempty"`

	// MatchPattern has wildcards: * stands for any part of one label, a prefix
	// **. for one or more whole labels, and * alone for every name.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[-a-zA-Z0-9_.*]+$`
	MatchPattern string `json:"matchPattern,omitempty"`
}
