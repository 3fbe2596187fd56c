package v1

// Paths of questions about NICs. They are read with GET.
const (
	PathNICs = "/v1/nics" // ?of=NAMESPACE/NAME, or nothing, for all pods of the node: []NIC
)

// NIC is a NIC of a pod of this node, or one that it asks for and has not.
type NIC struct {
	Pod       string   `json:"pod"` // namespace/name
	Container string   `json:"container"`
	Interface string   `json:"interface,omitempty"` // as the pod sees it; empty: the pod's annotation as a whole makes no sense
	Network   string   `json:"network"`             // name of the cluster's own, or namespace/name of a NetworkAttachmentDefinition
	Type      string   `json:"type,omitempty"`      // of the plugin that makes it
	Wire      string   `json:"wire,omitempty"`      // where it leads, in words
	Device    string   `json:"device,omitempty"`    // its side on the node
	Addresses []string `json:"addresses,omitempty"`
	MAC       string   `json:"mac,omitempty"`
	MTU       int      `json:"mtu,omitempty"`
	Ready     bool     `json:"ready"`              // all of it is in place
	Lacks     string   `json:"lacks,omitempty"`    // what is missing
	Advice    string   `json:"advice,omitempty"`   // what helps
	Enforced  bool     `json:"enforced"`           // policies hold on it
	Observed  bool     `json:"observed"`           // its flows are seen
	Where     string   `json:"where,omitempty"`    // policies are asked, and flows seen, in words
	Why       string   `json:"why,omitempty"`      // why one of them is not so
	Impaired  string   `json:"impaired,omitempty"` // what plugins of its network say, if they could make no other NIC now
}
