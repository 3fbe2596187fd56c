package v1

import "encoding/json"

// Socket is where the agent listens unless configured otherwise.
const Socket = "/var/run/cilium/weft.sock"

// Paths of the CNI calls.
const (
	PathAdd    = "/v1/cni/add"
	PathDel    = "/v1/cni/del"
	PathCheck  = "/v1/cni/check"
	PathStatus = "/v1/cni/status"
	PathGC     = "/v1/cni/gc"
)

// Request is a CNI call as the container runtime made it: its environment and its standard input. STATUS and GC speak of
// no container.
type Request struct {
	ContainerID string          `json:"containerID,omitempty"` // CNI_CONTAINERID
	Netns       string          `json:"netns,omitempty"`       // CNI_NETNS, a path on the host; may be empty for DEL
	Interface   string          `json:"interface,omitempty"`   // CNI_IFNAME
	Args        string          `json:"args,omitempty"`        // CNI_ARGS, KEY=value;…
	Config      json.RawMessage `json:"config"`                // network configuration from standard input
	Caller      string          `json:"caller,omitempty"`      // name of the process that called: a runtime's, or that of a plugin which calls others
}
