package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ConditionValid is the condition type that tells whether a policy or pool is
// well formed and fully enforced. Its message names what is not.
const ConditionValid = "Valid"

// CiliumNetworkPolicy holds rules for pods and virtual machines of one namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumnetworkpolicies,singular=ciliumnetworkpolicy,scope=Namespaced,shortName={cnp,ciliumnp},categories={cilium,ciliumpolicy}
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name=Valid,type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`
type CiliumNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is one rule. It applies together with those in specs.
	// +optional
	Spec *Rule `json:"spec,omitempty"`

	// Specs is a list of rules. All apply.
	// +optional
	Specs []Rule `json:"specs,omitzero"`

	// Status tells whether the policy is valid and enforced.
	// +optional
	Status PolicyStatus `json:"status,omitzero"`
}

// Rules returns the rule of spec, if any, followed by those of specs: all
// rules of the object in a stable order. The pointers lead into the object.
func (p *CiliumNetworkPolicy) Rules() []*Rule { return rules(p.Spec, p.Specs) }

// CiliumNetworkPolicyList is a list of CiliumNetworkPolicy.
//
// +kubebuilder:object:root=true
type CiliumNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumNetworkPolicy `json:"items"`
}

// CiliumClusterwideNetworkPolicy holds rules for pods and virtual machines of
// all namespaces, or for nodes (the host firewall).
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumclusterwidenetworkpolicies,singular=ciliumclusterwidenetworkpolicy,scope=Cluster,shortName=ccnp,categories={cilium,ciliumpolicy}
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name=Valid,type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`
type CiliumClusterwideNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec is one rule. It applies together with those in specs.
	// +optional
	Spec *Rule `json:"spec,omitempty"`

	// Specs is a list of rules. All apply.
	// +optional
	Specs []Rule `json:"specs,omitzero"`

	// Status tells whether the policy is valid and enforced.
	// +optional
	Status PolicyStatus `json:"status,omitzero"`
}

// Rules returns the rule of spec, if any, followed by those of specs: all
// rules of the object in a stable order. The pointers lead into the object.
func (p *CiliumClusterwideNetworkPolicy) Rules() []*Rule { return rules(p.Spec, p.Specs) }

// CiliumClusterwideNetworkPolicyList is a list of CiliumClusterwideNetworkPolicy.
//
// +kubebuilder:object:root=true
type CiliumClusterwideNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumClusterwideNetworkPolicy `json:"items"`
}

func rules(spec *Rule, specs []Rule) []*Rule {
	all := make([]*Rule, 0, 1+len(specs))
	if spec != nil {
		all = append(all, spec)
	}
	for i := range specs {
		all = append(all, &specs[i])
	}
	return all
}

// PolicyStatus is the status of a policy object.
type PolicyStatus struct {
	// Conditions holds the condition "Valid".
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Rule says what the endpoints or nodes it selects may receive and send. A
// direction for which any selecting rule has elements is denied by default.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.endpointSelector) && has(self.nodeSelector))",message="rule cannot have both endpointSelector and nodeSelector"
// +kubebuilder:validation:XValidation:rule="has(self.endpointSelector) || has(self.nodeSelector)",message="rule must have one of endpointSelector or nodeSelector (an empty endpointSelector: {} selects all endpoints)"
type Rule struct {
	// EndpointSelector chooses the pods and virtual machines that the rule is
	// for; {} chooses all (in a CiliumNetworkPolicy, of its namespace).
	// +optional
	EndpointSelector *LabelSelector `json:"endpointSelector,omitempty"`

	// NodeSelector chooses the nodes that the rule is for, instead of
	// endpoints. Only in a CiliumClusterwideNetworkPolicy.
	// +optional
	NodeSelector *LabelSelector `json:"nodeSelector,omitempty"`

	// Ingress lists what may be received. Absent leaves the direction open; an
	// element {} allows nothing and so closes it.
	// +optional
	Ingress []IngressRule `json:"ingress,omitzero"`

	// IngressDeny lists what must not be received, whatever else allows it.
	// +optional
	IngressDeny []IngressDenyRule `json:"ingressDeny,omitzero"`

	// Egress lists what may be sent. Absent leaves the direction open; an
	// element {} allows nothing and so closes it.
	// +optional
	Egress []EgressRule `json:"egress,omitzero"`

	// EgressDeny lists what must not be sent, whatever else allows it.
	// +optional
	EgressDeny []EgressDenyRule `json:"egressDeny,omitzero"`

	// EnableDefaultDeny overrides, per direction, whether the rule closes the
	// direction for all that it does not allow. Unset means: if it has elements.
	// +optional
	EnableDefaultDeny *DefaultDeny `json:"enableDefaultDeny,omitempty"`

	// Labels name the rule for users and tools; they select nothing.
	// +optional
	Labels []RuleLabel `json:"labels,omitempty"`

	// Description is free text.
	// +optional
	Description string `json:"description,omitempty"`

	// Log sets the text that flows show when this rule decides.
	// +optional
	Log *RuleLog `json:"log,omitempty"`
}

// DefaultDeny says per direction whether a rule closes it by default. Nil means
// the rule's elements decide.
type DefaultDeny struct {
	// +optional
	Ingress *bool `json:"ingress,omitempty"`
	// +optional
	Egress *bool `json:"egress,omitempty"`
}

// RuleLabel is a label of a rule itself.
type RuleLabel struct {
	Key string `json:"key"`
	// +optional
	Value string `json:"value,omitempty"`
	// Source is where the label comes from, for example k8s or unspec.
	// +optional
	Source string `json:"source,omitempty"`
}

// RuleLog is the text shown as policy_log in flows.
type RuleLog struct {
	// Value is at most 32 printable characters.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	Value string `json:"value,omitempty"`
}

// IngressRule allows traffic from peers (one of the from… members) to ports of
// the selected endpoints. Without a peer member: from anyone. Empty: from none.
type IngressRule struct {
	IngressPeer `json:",inline"`

	// ToPorts restricts to ports of the selected endpoints.
	// +optional
	ToPorts []PortRule `json:"toPorts,omitzero"`

	// ICMPs allows these ICMP messages. Not together with toPorts.
	// +optional
	ICMPs []ICMPRule `json:"icmps,omitzero"`

	// Authentication demands that the peer proves its identity.
	// +optional
	Authentication *Authentication `json:"authentication,omitempty"`
}

// IngressDenyRule forbids traffic from peers to ports of the selected endpoints.
type IngressDenyRule struct {
	IngressPeer `json:",inline"`

	// ToPorts restricts the denial to these ports.
	// +optional
	ToPorts []PortDenyRule `json:"toPorts,omitzero"`

	// ICMPs denies these ICMP messages. Not together with toPorts.
	// +optional
	ICMPs []ICMPRule `json:"icmps,omitzero"`
}

// EgressRule allows traffic from the selected endpoints to peers (one of the
// to… members) and their ports. Without a peer member: to anyone. Empty: to none.
type EgressRule struct {
	EgressPeer `json:",inline"`

	// ToFQDNs chooses peers by DNS name: the addresses that the selected
	// endpoints themselves were answered for a matching name.
	// +optional
	ToFQDNs []FQDNSelector `json:"toFQDNs,omitzero"`

	// ToPorts restricts to ports of the peers, after service translation.
	// +optional
	ToPorts []PortRule `json:"toPorts,omitzero"`

	// ICMPs allows these ICMP messages. Not together with toPorts.
	// +optional
	ICMPs []ICMPRule `json:"icmps,omitzero"`

	// Authentication demands that the peer proves its identity.
	// +optional
	Authentication *Authentication `json:"authentication,omitempty"`
}

// EgressDenyRule forbids traffic from the selected endpoints to peers. DNS
// names cannot be denied.
type EgressDenyRule struct {
	EgressPeer `json:",inline"`

	// ToPorts restricts the denial to these ports of the peers.
	// +optional
	ToPorts []PortDenyRule `json:"toPorts,omitzero"`

	// ICMPs denies these ICMP messages. Not together with toPorts.
	// +optional
	ICMPs []ICMPRule `json:"icmps,omitzero"`
}

// Authentication modes.
const (
	AuthenticationDisabled       = "disabled"
	AuthenticationRequired       = "required"
	AuthenticationTestAlwaysFail = "test-always-fail"
)

// Authentication is the demand for mutual authentication of a connection.
type Authentication struct {
	// +kubebuilder:validation:Enum=disabled;required;test-always-fail
	Mode string `json:"mode"`
}
