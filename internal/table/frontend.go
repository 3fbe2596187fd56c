package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
)

// Frontend is an address and port that the datapath translates for workloads, with its backends. The unspecified address
// (0.0.0.0, ::) stands for every address of every node: a node port. Port and protocol 0, which have no backends, stand for
// whatever else is sent to a cluster address: it is refused.
type Frontend struct {
	Address         netip.Addr
	Port            uint16
	Protocol        uint8
	Namespace       string // of the Service
	Name            string
	AffinitySeconds uint32
	Outside         bool // an external address or a node port, not a cluster address
	Backends        []Backend
}

func (Frontend) Header() []string {
	return []string{"Address", "Port", "Protocol", "Service", "Affinity", "Outside", "Backends"}
}

func (f Frontend) Row() []string {
	return []string{f.Address.String(), fmt.Sprint(f.Port), fmt.Sprint(f.Protocol), f.Namespace + "/" + f.Name, fmt.Sprint(f.AffinitySeconds), fmt.Sprint(f.Outside), join(f.Backends)}
}

var _ = declare(&tables.Frontends, "frontends", func(r Frontend) state.Key { return state.Join(r.Address, r.Port, r.Protocol) },
	state.Index[Frontend]{Name: ByService, Keys: func(r Frontend) []state.Key { return []state.Key{ObjectKey(r.Namespace, r.Name)} }})

// Backend is one place that serves a Frontend.
type Backend struct {
	Address     netip.Addr
	Port        uint16
	Terminating bool // keeps its connections, takes no new ones
}

func (b Backend) String() string {
	text := netip.AddrPortFrom(b.Address, b.Port).String()
	if b.Terminating {
		text += "(terminating)"
	}
	return text
}
