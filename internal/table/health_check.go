package table

import (
	"cmp"
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/state"
)

// HealthCheck is an address at which this node answers load balancers, and what watches it, by HTTP.
type HealthCheck struct {
	Network         string // tcp; tcp4 and tcp6: of one family alone
	Address         string // to listen on
	Namespace, Name string // of the Service that is asked about; empty: the node itself is
	Endpoints       int    // of a Service: that are ready on this node, in the family of Network
	Leaving         bool   // of the node
}

func (HealthCheck) Header() []string {
	return []string{"Network", "Address", "About", "Endpoints", "Leaving"}
}

func (h HealthCheck) Row() []string {
	return []string{h.Network, h.Address, cmp.Or(strings.TrimPrefix(h.Namespace+"/"+h.Name, "/"), "this node"), fmt.Sprint(h.Endpoints), fmt.Sprint(h.Leaving)}
}

var _ = declare(&tables.HealthChecks, "health-checks", func(r HealthCheck) state.Key { return state.Join(r.Network, r.Address) })
