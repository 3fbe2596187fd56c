package observation

import "weftnet.io/weftnet/internal/settings/key"

// Keys are those of flows and metrics.
var Keys = []key.Of[Observation]{
	{Name: "enable-hubble", Default: "true", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "flows are served", Read: key.Flag(func(c *Observation) *bool { return &c.Hubble })},
	{
		Name: "hubble-socket-path", Default: "/var/run/cilium/hubble.sock", Concern: Concern, Holds: key.AtOnce, Text: "on a socket, for root alone",
		Read: key.Text(func(c *Observation) *string { return &c.HubbleSocket }),
	},
	{
		Name: "hubble-listen-address", Concern: Concern, Holds: key.AtOnce, Syntax: key.Address, Text: "over the network as well, such as :4244, to clients with a certificate; empty: not",
		Needs: "`hubble-tls-cert-file`, `hubble-tls-key-file`, `hubble-tls-client-ca-files`", Read: key.Text(func(c *Observation) *string { return &c.FlowService.Address }),
	},
	{
		Name: "hubble-disable-tls", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean,
		Text: "over the network in plain text: ANY CLIENT READS ALL FLOWS", Read: key.Flag(func(c *Observation) *bool { return &c.FlowService.Plain }),
	},
	{Name: "hubble-tls-cert-file", Concern: Concern, Holds: key.AtOnce, Text: "the certificate of that; read for each connection", Read: key.Text(func(c *Observation) *string { return &c.FlowService.Certificate })},
	{Name: "hubble-tls-key-file", Concern: Concern, Holds: key.AtOnce, Text: "its key; read for each connection", Read: key.Text(func(c *Observation) *string { return &c.FlowService.Key })},
	{Name: "hubble-tls-client-ca-files", Concern: Concern, Holds: key.AtOnce, Text: "certificates by which its clients are known; none: nothing is served over the network", Read: key.List(func(c *Observation) *[]string { return &c.FlowService.ClientCAs })},
	{Name: "hubble-prefer-ipv6", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "relays are given IPv6 addresses of nodes", Read: key.Flag(func(c *Observation) *bool { return &c.FlowService.IPv6 })},
	{Name: "hubble-relay-anonymous", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Text: "the relay, once it starts anew, asks no client who it is: ANY CLIENT READS ALL FLOWS", Read: key.Flag(func(c *Observation) *bool { return &c.OpenRelay })},
	{
		Name: "hubble-progress-interval", Default: "60s", Concern: Concern, Holds: key.AtOnce, Syntax: key.Life,
		Text: "how often flows and metrics tell what a connection has carried that goes on; 0: its end alone does", Read: func(r *key.Reader, o *Observation, name string) { o.Progress = r.Life(name) },
	},
	{Name: "prometheus-serve-addr", Concern: Concern, Holds: key.AtOnce, Syntax: key.Address, Text: "where metrics are served", Read: key.Text(func(c *Observation) *string { return &c.Metrics.Address })},
	{
		Name: "prometheus-enable-tls", Default: "false", Concern: Concern, Holds: key.AtOnce, Syntax: key.Boolean, Protection: true, Text: "metrics are served by TLS",
		Needs: "`prometheus-tls-cert-file`, `prometheus-tls-key-file`", Read: key.Flag(func(c *Observation) *bool { return &c.Metrics.TLS }),
	},
	{Name: "prometheus-tls-cert-file", Concern: Concern, Holds: key.AtOnce, Text: "its certificate; read for each connection", Read: key.Text(func(c *Observation) *string { return &c.Metrics.Certificate })},
	{Name: "prometheus-tls-key-file", Concern: Concern, Holds: key.AtOnce, Text: "its key; read for each connection", Read: key.Text(func(c *Observation) *string { return &c.Metrics.Key })},
	{Name: "prometheus-tls-client-ca-files", Concern: Concern, Holds: key.AtOnce, Text: "certificates by which clients are known; none: any client", Read: key.List(func(c *Observation) *[]string { return &c.Metrics.ClientCAs })},
	{Name: "debug", Default: "false", Concern: Concern, Syntax: key.Boolean, Have: []string{"false"}, Instead: "programs log more with a flag of their own"},
}
