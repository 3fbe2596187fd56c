// Package healthcheck has the table of what this node answers load balancers.
package healthcheck

import (
	"cmp"
	"fmt"
	"strings"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Check is an address at which this node answers load balancers, and what watches it, by HTTP.
type Check struct {
	Network         string // tcp; tcp4 and tcp6: of one family alone
	Address         string // to listen on
	Namespace, Name string // of the Service that is asked about; empty: the node itself is
	Endpoints       int    // of a Service: that are ready on this node, in the family of Network
	Leaving         bool   // of the node
}

func (Check) Header() []string {
	return []string{"Network", "Address", "About", "Endpoints", "Leaving"}
}

func (h Check) Row() []string {
	return []string{h.Network, h.Address, cmp.Or(strings.TrimPrefix(h.Namespace+"/"+h.Name, "/"), "this node"), fmt.Sprint(h.Endpoints), fmt.Sprint(h.Leaving)}
}

// Table has what this node answers.
var Table = table.Declare("health-checks", func(r Check) state.Key { return state.Join(r.Network, r.Address) })
