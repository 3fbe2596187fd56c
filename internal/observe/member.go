package observe

import (
	"cmp"
	"net/netip"

	"weftnet.io/weftnet/internal/flow"
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/observe/cache"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Further knows the NICs of networks that are not that of pods.
type Further interface {
	Network(r state.Reader, incarnation uint32) uint32 // of the NIC that an event is about; 0: that of pods
	At(r state.Reader, network uint32, at netip.Addr) End
	Rests() []cache.Versioned // what answers rest on
}

// Machine is the name of the virtual machine in a pod with these labels, of whichever node; local is the pod if it is of this node. Empty: there is
// none.
type Machine func(local table.Pod, pod string, labels identity.Labels) string

// End is a NIC at an address. Zero: none is known.
type End struct {
	Namespace, Pod string
	Incarnation    uint32
	Identity       identity.Number
	Labels         identity.Labels
	Place          flow.Place
	Overlay        string // name of the overlay network that it is in, also where no NIC is known; empty: none
}

// member fills in what is known of an end in such a network, and gives its labels and its identity.
func (n *resolver) member(r state.Reader, who endpoint, p *party) (identity.Labels, identity.Number) {
	e := n.further.At(r, who.network, who.at)
	p.network, p.place, p.overlay = who.network, e.Place, e.Overlay
	p.endpoint.Namespace, p.endpoint.PodName, p.endpoint.ID = e.Namespace, e.Pod, e.Incarnation
	if e.Pod != "" {
		p.endpoint.ClusterName = n.tables.Config(r).ClusterName
	}
	return e.Labels, cmp.Or(who.number, e.Identity)
}
