package v2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CiliumEndpoint is what a node publishes about one of its pods: identity and
// addresses. It has the pod's name and namespace and is owned by the pod.
//
// All of it is status, yet status is no subresource: one write of the agent
// creates the object whole, so no reader sees it half.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=ciliumendpoints,singular=ciliumendpoint,scope=Namespaced,shortName={cep,ciliumep},categories=cilium
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Security Identity",type=integer,JSONPath=`.status.identity.id`
// +kubebuilder:printcolumn:name="Ingress Enforcement",type=boolean,JSONPath=`.status.policy.ingress.enforcing`,priority=1
// +kubebuilder:printcolumn:name="Egress Enforcement",type=boolean,JSONPath=`.status.policy.egress.enforcing`,priority=1
// +kubebuilder:printcolumn:name="Endpoint State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name=IPv4,type=string,JSONPath=`.status.networking.addressing[0].ipv4`
// +kubebuilder:printcolumn:name=IPv6,type=string,JSONPath=`.status.networking.addressing[0].ipv6`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`
type CiliumEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// +optional
	Status EndpointStatus `json:"status,omitzero"`
}

// CiliumEndpointList is a list of CiliumEndpoint.
//
// +kubebuilder:object:root=true
type CiliumEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []CiliumEndpoint `json:"items"`
}

// EndpointNodeLabel is the label of a CiliumEndpoint that names the node it belongs to. No other node may write it: see the
// chart's admission policy.
const EndpointNodeLabel = "weftnet.io/node"

// States of an endpoint.
const (
	EndpointCreating           = "creating"
	EndpointWaitingForIdentity = "waiting-for-identity"
	EndpointNotReady           = "not-ready"
	EndpointRegenerating       = "regenerating"
	EndpointReady              = "ready"
	EndpointDisconnecting      = "disconnecting"
	EndpointDisconnected       = "disconnected"
)

// EndpointStatus is the published state of an endpoint.
type EndpointStatus struct {
	// ID numbers the endpoint on its node.
	// +optional
	ID int64 `json:"id,omitempty"`

	// ExternalIdentifiers tells what the endpoint is called elsewhere.
	// +optional
	ExternalIdentifiers *EndpointIdentifiers `json:"external-identifiers,omitempty"`

	// Identity is the security identity.
	// +optional
	Identity *EndpointIdentity `json:"identity,omitempty"`

	// Networking holds the addresses and the node.
	// +optional
	Networking *EndpointNetworking `json:"networking,omitempty"`

	// Encryption tells peers with which key to encrypt.
	// +optional
	Encryption EncryptionSpec `json:"encryption,omitzero"`

	// Policy tells in which directions policy is enforced.
	// +optional
	Policy *EndpointPolicy `json:"policy,omitempty"`

	// State is one of creating, waiting-for-identity, not-ready, regenerating,
	// ready, disconnecting, disconnected and those of older versions.
	// +optional
	State string `json:"state,omitempty"`

	// NamedPorts lists the named container ports, sorted by name.
	// +optional
	// +listType=atomic
	NamedPorts []NamedPort `json:"named-ports,omitempty"`

	// ServiceAccount is the pod's service account.
	// +optional
	ServiceAccount string `json:"service-account,omitempty"`
}

// EndpointIdentifiers tells what an endpoint is called elsewhere.
type EndpointIdentifiers struct {
	// ContainerID is the id of the pod's sandbox.
	// +optional
	ContainerID string `json:"container-id,omitempty"`
	// CNIAttachmentID is sandbox id and interface, as container-id:ifname.
	// +optional
	CNIAttachmentID string `json:"cni-attachment-id,omitempty"`
	// +optional
	K8sNamespace string `json:"k8s-namespace,omitempty"`
	// +optional
	K8sPodName string `json:"k8s-pod-name,omitempty"`
	// PodName is namespace/name, the older form.
	// +optional
	PodName string `json:"pod-name,omitempty"`
}

// EndpointIdentity is a security identity and the labels behind it.
type EndpointIdentity struct {
	// ID is the identity number.
	// +optional
	ID int64 `json:"id,omitempty"`

	// Labels lists the label set as source:key=value, sorted.
	// +optional
	// +listType=atomic
	Labels []string `json:"labels,omitempty"`
}

// EndpointNetworking holds where an endpoint is.
type EndpointNetworking struct {
	// Addressing has one element per NIC; the first is the pod network's.
	// +listType=atomic
	Addressing []AddressPair `json:"addressing"`

	// NodeIP is the address of the node, by which the tunnel reaches it.
	// +optional
	NodeIP string `json:"node,omitempty"`
}

// AddressPair holds the addresses of one NIC.
type AddressPair struct {
	// +optional
	IPV4 string `json:"ipv4,omitempty"`
	// +optional
	IPV6 string `json:"ipv6,omitempty"`

	// Network is the namespace/name of the NetworkAttachmentDefinition of a
	// secondary NIC; empty is the pod network.
	// +optional
	Network string `json:"network,omitempty"`

	// Interface is the NIC's name in the pod; empty is eth0.
	// +optional
	Interface string `json:"interface,omitempty"`
}

// EncryptionSpec is the encryption of traffic to an endpoint or node.
type EncryptionSpec struct {
	// Key is the number of the key in use; 0 is no encryption.
	// +optional
	Key int `json:"key,omitempty"`
}

// EndpointPolicy tells which policy is enforced.
type EndpointPolicy struct {
	// +optional
	Ingress *EndpointPolicyDirection `json:"ingress,omitempty"`
	// +optional
	Egress *EndpointPolicyDirection `json:"egress,omitempty"`
}

// EndpointPolicyDirection tells what is enforced in one direction.
type EndpointPolicyDirection struct {
	// Enforcing tells whether anything may be denied.
	Enforcing bool `json:"enforcing"`

	// State is enforcing, non-enforcing or disabled.
	// +optional
	State string `json:"state,omitempty"`
}

// NamedPort is a container port with a name.
type NamedPort struct {
	// +optional
	Name string `json:"name,omitempty"`
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port uint16 `json:"port,omitempty"`
	// Protocol is TCP, UDP or SCTP.
	// +optional
	Protocol string `json:"protocol,omitempty"`
}
