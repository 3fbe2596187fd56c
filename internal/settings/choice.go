package settings

import (
	"encoding/base64"
	"strconv"

	"weftnet.io/weftnet/internal/settings/key"
)

// choice are the keys of how a backend is chosen for a new connection.
var choice = []Key{
	{
		Name: "enable-service-topology", Default: "true", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "hints of EndpointSlices count: calls stay in the caller's zone or on its node where a service asks for that (`spec.trafficDistribution`, " +
			"annotation `service.kubernetes.io/topology-mode`)",
		Read: key.Flag(func(c *Config) *bool { return &c.Choice.Hints }),
	},
	{
		Name: "bpf-lb-algorithm", Default: "random", Concern: OfServices, Holds: key.NewConnections, Syntax: "random|maglev",
		Text: "how a backend is chosen for what comes from outside: by chance, or so that all nodes choose the same one",
		Read: key.Word(func(c *Config, word string) { c.Choice.Maglev = word == "maglev" }),
	},
	{
		Name: "node-port-algorithm", Default: "random", Concern: OfServices, Holds: key.NewConnections, Syntax: "random|maglev", Newer: "bpf-lb-algorithm",
		Text: "older name of `bpf-lb-algorithm`", Read: key.Word(func(c *Config, word string) { c.Choice.Maglev = word == "maglev" }),
	},
	{
		Name: "bpf-lb-algorithm-annotation", Default: "true", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Boolean,
		Text: "annotation `service.cilium.io/lb-algorithm` of a service (random, maglev) says it for that one",
		Read: key.Flag(func(c *Config) *bool { return &c.Choice.Annotated }),
	},
	{
		Name: "bpf-lb-maglev-table-size", Default: "65521", Concern: OfServices, Holds: key.NewConnections,
		Syntax: "251|509|1021|2039|4093|8191|16381|32749|65521|131071", Text: "most elements of a service's Maglev table; one of few backends has a smaller table",
		Read: key.Word(func(c *Config, word string) {
			n, _ := strconv.ParseUint(word, 10, 32) // its syntax was checked
			c.Choice.TableSize = uint32(n)
		}),
	},
	{
		Name: "bpf-lb-maglev-hash-seed", Concern: OfServices, Holds: key.NewConnections, Syntax: key.Seed,
		Text: "what Maglev tables are computed with, on all nodes the same: who does not know it cannot tell which backend a call goes to; empty: one that is known to all",
		Read: func(r *key.Reader, c *Config, name string) {
			b, _ := base64.StdEncoding.DecodeString(r.Text(name)) // its syntax was checked
			copy(c.Choice.Seed[:], b)
		},
	},
}

// serviceMaps are the keys of how many entries the maps of services have.
var serviceMaps = []Key{
	{
		Name: "bpf-lb-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "frontends of services; all other maps of services in proportion: 4 slots, 2 backends, 4 parts of Maglev tables, a range of clients, a client with affinity for each. Keys of these maps win",
		Read: setEntries(func(m *MapSizes) *int { return &m.LB }),
	},
	{Name: "bpf-lb-service-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "frontends of services, and four times as many slots", Read: setEntries(func(m *MapSizes) *int { return &m.Services })},
	{Name: "bpf-lb-service-backend-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "backends of services", Read: setEntries(func(m *MapSizes) *int { return &m.ServiceBackends })},
	{Name: "bpf-lb-affinity-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "clients of services with affinity", Read: setEntries(func(m *MapSizes) *int { return &m.ServiceAffinity })},
	{Name: "bpf-lb-source-range-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "ranges of clients that may, or may not, call services", Read: setEntries(func(m *MapSizes) *int { return &m.ServiceSources })},
	{Name: "bpf-lb-maglev-map-max", Concern: OfDatapath, Holds: key.AtOnce, Syntax: key.Count, Text: "parts of Maglev tables, each of 110 elements", Read: setEntries(func(m *MapSizes) *int { return &m.Maglev })},
}

// Choice says how a backend is chosen for a new connection.
type Choice struct {
	Hints     bool   // those of EndpointSlices count
	Maglev    bool   // for calls from outside, unless an annotation of the service says otherwise
	Annotated bool   // such an annotation counts
	TableSize uint32 // most elements of a table
	Seed      Seed
}

// Seed is a number that all nodes have in common.
type Seed [12]byte

// String tells whether there is one, not which.
func (s Seed) String() string {
	if s == (Seed{}) {
		return "none"
	}
	return "set"
}
