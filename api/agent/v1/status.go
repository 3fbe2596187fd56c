package v1

import "time"

// Paths of the node's status and of its tables. They are read with GET.
const (
	PathNodeStatus = "/v1/status" // NodeStatus
	PathTables     = "/v1/tables" // []TableInfo; PathTables/NAME: Table, 404 for an unknown name
)

// NodeStatus is how an agent and its node are: what `weft status` prints.
type NodeStatus struct {
	Version     string       `json:"version"` // of the agent
	Node        string       `json:"node"`
	Cluster     string       `json:"cluster"`
	Started     time.Time    `json:"started"`
	Ready       bool         `json:"ready"` // CNI ADD is answered
	Components  []Component  `json:"components"`
	Protections []Protection `json:"protections"`
	Counts      []Count      `json:"counts"`
	Settings    []Setting    `json:"settings"` // every key of the configuration, known or not
}

// Health of a component.
type Health string

// Values of Health.
const (
	HealthOK       Health = "ok"
	HealthStarting Health = "starting" // has not done its work once
	HealthDegraded Health = "degraded" // works, with errors that it tries to overcome
	HealthFailed   Health = "failed"   // does not work
)

// Component is a part of the agent that can fail by itself.
type Component struct {
	Name    string `json:"name"` // e.g. kubernetes, datapath, ipam, cni, policy, flows
	Health  Health `json:"health"`
	Message string `json:"message,omitempty"` // what is wrong, on which object, and what to do
}

// ComponentProxy is the name of the component that is there where kube-proxy is replaced, and says what there is of one nevertheless. Its
// message begins with ProxyRuns while one runs.
const (
	ComponentProxy = "kube-proxy"
	ProxyRuns      = "kube-proxy runs on this node"
)

// Protection is something that keeps attackers out and that the configuration may ask for.
type Protection struct {
	Name      string `json:"name"` // encryption, policy, …
	Requested bool   `json:"requested"`
	By        string `json:"by,omitempty"` // the setting that asks for it, e.g. enable-wireguard=true
	Active    bool   `json:"active"`
	Note      string `json:"note,omitempty"` // what its absence means
}

// Count is a number of things, e.g. pods, identities, policies, flows.
type Count struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}

// SettingState is what became of a setting.
type SettingState string

// Values of SettingState.
const (
	SettingEffective      SettingState = "effective"
	SettingNotImplemented SettingState = "not implemented" // known; this value does nothing here yet
	SettingUnknown        SettingState = "unknown"         // no such key: a spelling mistake, or of another version
	SettingInvalid        SettingState = "invalid"         // the value makes no sense: the default is in use
)

// Setting is one key of the configuration.
type Setting struct {
	Name  string       `json:"name"`
	Value string       `json:"value"`
	State SettingState `json:"state"`
	Note  string       `json:"note,omitempty"` // why it is not effective, and what happens instead
}

// Unprotected lists the protections that were asked for and are not there. While there are any, `weft status` fails.
func (s NodeStatus) Unprotected() []Protection {
	var out []Protection
	for _, p := range s.Protections {
		if p.Requested && !p.Active {
			out = append(out, p)
		}
	}
	return out
}

// TableInfo names a table of the agent's state.
type TableInfo struct {
	Name   string `json:"name"`
	Rows   int    `json:"rows"`
	Synced bool   `json:"synced"` // its first full list is in
}

// Table is a table as its rows print themselves.
type Table struct {
	TableInfo
	Header []string   `json:"header"`
	Cells  [][]string `json:"cells"` // one list per row, as long as Header
}
