package settings

import "weftnet.io/weftnet/internal/settings/key"

// health are the keys of what kube-proxy serves beside translating.
var health = []Key{
	{
		Name: "kube-proxy-replacement-healthz-bind-address", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Address,
		Text:  "where the node says by HTTP whether it translates (`/livez`), and takes new calls (`/healthz`), such as 0.0.0.0:10256; empty: nowhere",
		Needs: "`kube-proxy-replacement: \"true\"`", Read: key.Text(func(c *Config) *string { return &c.Health.Node }),
	},
	{
		Name: "enable-health-check-nodeport", Default: "true", Concern: OfServices, Holds: key.AtOnce, Syntax: key.Boolean,
		Text:  "the healthCheckNodePort of services with externalTrafficPolicy Local says how many of their endpoints are on the node",
		Needs: "`kube-proxy-replacement: \"true\"`", Read: key.Flag(func(c *Config) *bool { return &c.Health.Services }),
	},
}

// Health says what this node tells load balancers by HTTP.
type Health struct {
	Node     string // address at which it tells of itself; empty: nowhere
	Services bool   // at their healthCheckNodePort
}
