package agent

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	agentv1 "weftnet.io/weftnet/api/agent/v1"
)

// relayFile is where the chart puts the relay's configuration (ConfigMap hubble-config) beside the agent's certificates.
const relayFile = "/var/lib/cilium/tls/hubble/relay.yaml"

// relay says how the relay serves clients, if the agent knows its configuration. open: cilium-config says that it asks none who it is.
func relay(file string, open bool) (c agentv1.Component, known bool) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false
	}
	c = agentv1.Component{Name: "relay", Health: agentv1.HealthDegraded}
	var said struct {
		Server struct{ Address string }
		Relay  struct {
			TLS struct{ Enabled *bool }
		}
		Listen    string `json:"listen-address"`
		Plain     *bool  `json:"disable-server-tls"`
		Cert      string `json:"tls-relay-server-cert-file"`
		Anonymous any    `json:"hubble-relay-anonymous"`
	}
	if err == nil {
		err = yaml.Unmarshal(text, &said)
	}
	if err != nil {
		c.Message = "ConfigMap hubble-config cannot be read: " + err.Error()
		return c, true
	}
	var faults []string
	tls := said.Cert != ""
	switch {
	case said.Relay.TLS.Enabled != nil:
		tls = *said.Relay.TLS.Enabled
	case said.Plain != nil:
		tls = !*said.Plain
	}
	if !tls {
		faults = append(faults, "clients are served in plain text (relay.tls.enabled of ConfigMap hubble-config is not true): what is between reads their flows, and tokens that are not for the relay alone")
	}
	if open || said.Anonymous == true || said.Anonymous == "true" {
		faults = append(faults, "any client reads the flows of all namespaces (hubble-relay-anonymous)")
	}
	if c.Message = strings.Join(faults, "; "); c.Message == "" {
		c.Health, c.Message = agentv1.HealthOK, "clients are served by TLS at "+cmp.Or(said.Listen, said.Server.Address, ":4245")
	}
	return c, true
}
