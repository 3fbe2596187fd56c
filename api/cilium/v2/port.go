package v2

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// PortRule chooses ports and, of allowed traffic, requests (L7).
type PortRule struct {
	// Ports lists ports; none means all ports.
	// +optional
	// +kubebuilder:validation:MaxItems=40
	Ports []PortProtocol `json:"ports,omitzero"`

	// TerminatingTLS is the certificate with which the proxy ends TLS towards
	// the client.
	// +optional
	TerminatingTLS *TLSContext `json:"terminatingTLS,omitempty"`

	// OriginatingTLS is the trust with which the proxy begins TLS towards the
	// server.
	// +optional
	OriginatingTLS *TLSContext `json:"originatingTLS,omitempty"`

	// ServerNames restricts to TLS server names (SNI), with the wildcards of
	// DNS patterns.
	// +optional
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	ServerNames []string `json:"serverNames,omitzero"`

	// Listener sends the traffic to a listener of an Envoy configuration.
	// +optional
	Listener *Listener `json:"listener,omitempty"`

	// Rules restricts the requests that may pass. One protocol per element.
	// +optional
	Rules *L7Rules `json:"rules,omitempty"`
}

// PortDenyRule chooses ports of denied traffic.
type PortDenyRule struct {
	// Ports lists ports; none means all ports.
	// +optional
	// +kubebuilder:validation:MaxItems=40
	Ports []PortProtocol `json:"ports,omitzero"`
}

// PortProtocol is one port, or a range of ports, of one transport protocol.
type PortProtocol struct {
	// Port is a number (0 means all) or the name of a container port. It is a
	// string in YAML: quote numbers. It may be empty only for protocols that
	// have no ports.
	// +optional
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}|[a-zA-Z0-9]([-a-zA-Z0-9]{0,13}[a-zA-Z0-9])?)?$`
	Port string `json:"port,omitempty"`

	// EndPort is the last port of a range that begins with port. 0 means no
	// range. It is ignored for named ports.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	EndPort int32 `json:"endPort,omitempty"`

	// Protocol is ANY (or empty: TCP, UDP and SCTP), TCP, UDP, SCTP, ICMP,
	// ICMPv6, VRRP, IGMP, GRE, IPIP, IPV6, ESP or AH, in upper or lower case.
	// +optional
	// +kubebuilder:validation:Pattern=`^([Aa][Nn][Yy]|[Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ss][Cc][Tt][Pp]|[Ii][Cc][Mm][Pp]([Vv]6)?|[Vv][Rr][Rr][Pp]|[Ii][Gg][Mm][Pp]|[Gg][Rr][Ee]|[Ii][Pp][Ii][Pp]|[Ii][Pp][Vv]6|[Ee][Ss][Pp]|[Aa][Hh])?$`
	Protocol string `json:"protocol,omitempty"`
}

// TLSContext names the secret with keys and certificates of one side of a TLS
// connection, and the items in it.
type TLSContext struct {
	Secret SecretName `json:"secret"`

	// TrustedCA is the item with the trusted authorities; default ca.crt.
	// +optional
	TrustedCA string `json:"trustedCA,omitempty"`

	// Certificate is the item with the certificate; default tls.crt.
	// +optional
	Certificate string `json:"certificate,omitempty"`

	// PrivateKey is the item with the private key; default tls.key.
	// +optional
	PrivateKey string `json:"privateKey,omitempty"`
}

// SecretName names a Kubernetes secret.
type SecretName struct {
	// +optional
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// Listener names a listener of an Envoy configuration.
type Listener struct {
	EnvoyConfig EnvoyConfigName `json:"envoyConfig"`

	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// Priority decides between listeners for the same traffic: 1 (strongest)
	// to 100; 0 means the weakest.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Priority int32 `json:"priority,omitempty"`
}

// EnvoyConfigName names an Envoy configuration object.
type EnvoyConfigName struct {
	// +optional
	// +kubebuilder:validation:Enum=CiliumEnvoyConfig;CiliumClusterwideEnvoyConfig
	Kind string `json:"kind,omitempty"`

	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// L7Rules lists the requests that may pass; elements of one list are
// alternatives. Without any element (all lists empty) it restricts nothing.
type L7Rules struct {
	// +optional
	HTTP []HTTPRule `json:"http,omitzero"`

	// +optional
	DNS []FQDNSelector `json:"dns,omitzero"`

	// Kafka is removed upstream; kept so that old policies fail closed by name.
	// +optional
	Kafka []KafkaRule `json:"kafka,omitzero"`

	// L7Proto names the protocol of l7. Removed upstream, kept like kafka.
	// +optional
	L7Proto string `json:"l7proto,omitempty"`

	// L7 lists key-value rules of the protocol l7proto.
	// +optional
	L7 []map[string]string `json:"l7,omitzero"`
}

// HTTPRule matches requests; all members that are set must match. The regular
// expressions are RE2 and match the whole value.
type HTTPRule struct {
	// Path is a regular expression on the path with its query string.
	// +optional
	Path string `json:"path,omitempty"`

	// Method is a regular expression on the method.
	// +optional
	Method string `json:"method,omitempty"`

	// Host is a regular expression on the host (HTTP/2 :authority).
	// +optional
	Host string `json:"host,omitempty"`

	// Headers lists headers that must be present, as "Name" or "Name: value".
	// +optional
	Headers []string `json:"headers,omitempty"`

	// HeaderMatches lists headers with what to do when one does not match.
	// +optional
	HeaderMatches []HeaderMatch `json:"headerMatches,omitempty"`
}

// HeaderMatch compares one header, or sets it right.
type HeaderMatch struct {
	// Mismatch is what to do when the header does not have the value: LOG it,
	// ADD, DELETE or REPLACE the header. Absent: the request does not match.
	// +optional
	// +kubebuilder:validation:Enum=LOG;ADD;DELETE;REPLACE
	Mismatch string `json:"mismatch,omitempty"`

	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// Secret holds the value, in place of value.
	// +optional
	Secret *SecretName `json:"secret,omitempty"`

	// +optional
	Value string `json:"value,omitempty"`
}

// KafkaRule matches Kafka requests.
type KafkaRule struct {
	// Role is produce or consume; not together with apiKey.
	// +optional
	// +kubebuilder:validation:Enum=produce;consume
	Role string `json:"role,omitempty"`
	// +optional
	APIKey string `json:"apiKey,omitempty"`
	// +optional
	APIVersion string `json:"apiVersion,omitempty"`
	// +optional
	ClientID string `json:"clientID,omitempty"`
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Topic string `json:"topic,omitempty"`
}

// ICMPRule lists ICMP messages.
type ICMPRule struct {
	// +optional
	// +kubebuilder:validation:MaxItems=40
	Fields []ICMPField `json:"fields,omitzero"`
}

// ICMPField is one ICMP message type of one address family.
type ICMPField struct {
	// Family defaults to IPv4.
	// +optional
	// +kubebuilder:validation:Enum=IPv4;IPv6
	Family string `json:"family,omitempty"`

	// Type is a number (0-255) or a name, for example EchoRequest.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	Type ICMPType `json:"type"`
}

// ICMPType is an ICMP message type as it was written: a number, in decimal, or
// a name. YAML may hold it as a number or a string. (intstr.IntOrString would
// not do: a number above 32 bits passes the schema and fails to decode, and
// with it would fail the list of all policies.)
type ICMPType string

// UnmarshalJSON accepts a JSON number or string.
func (t *ICMPType) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(t))
	}
	var number json.Number
	if err := json.Unmarshal(text, &number); err != nil {
		return fmt.Errorf("read ICMP type: %w", err)
	}
	*t = ICMPType(number)
	return nil
}

// MarshalJSON writes a number where the type is one, else a string.
func (t ICMPType) MarshalJSON() ([]byte, error) {
	if number, err := strconv.ParseUint(string(t), 10, 64); err == nil {
		return strconv.AppendUint(nil, number, 10), nil
	}
	return json.Marshal(string(t))
}
