package observe

import (
	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/station"
)

// networkOf is the network of the NIC that an event is about; 0: that of pods.
func networkOf(r state.Reader, incarnation uint32) uint32 {
	for m := range station.Members.By(r, station.ByNumber, state.Join(incarnation)) {
		return m.Network
	}
	return 0
}

// member fills in what is known of an end in a network of NICs that share an uplink. An address there says nothing in the pod network.
func (n *resolver) member(r state.Reader, who endpoint, p *party) (labels identity.Labels) {
	p.network = who.network
	for m := range station.Members.By(r, station.ByAddress, state.Join(who.network, who.at)) {
		p.endpoint.Namespace, p.endpoint.PodName, p.endpoint.ID = m.Namespace, m.Pod, m.Incarnation()
		p.endpoint.ClusterName = n.tables.Config(r).ClusterName
		p.place.NIC, p.place.Attachment = m.Interface, m.Definition
		if w, ok := n.tables.Workloads.One(r, table.AttachmentKey(m.ContainerID, m.First)); ok {
			labels = w.Labels
		}
	}
	return labels
}
