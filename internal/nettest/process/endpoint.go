package process

import (
	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/table"
)

// endpoint is the object that tells the cluster of a local pod.
func endpoint(e table.PublishedEndpoint) *v2.CiliumEndpoint {
	o := &v2.CiliumEndpoint{}
	o.Namespace, o.Name = e.Namespace, e.Name
	o.Status.State = v2.EndpointReady
	o.Status.Identity = &v2.EndpointIdentity{ID: int64(e.Identity)}
	for name, value := range e.Labels.All() {
		o.Status.Identity.Labels = append(o.Status.Identity.Labels, name+"="+value)
	}
	pair := v2.AddressPair{}
	for _, a := range e.Addresses {
		if a.Is4() {
			pair.IPV4 = a.String()
		} else {
			pair.IPV6 = a.String()
		}
	}
	o.Status.Networking = &v2.EndpointNetworking{NodeIP: e.Node.String(), Addressing: []v2.AddressPair{pair}}
	for _, p := range e.NamedPorts {
		o.Status.NamedPorts = append(o.Status.NamedPorts, v2.NamedPort{Name: p.Name, Protocol: protocolName(p.Protocol), Port: p.Port})
	}
	return o
}

func protocolName(number uint8) string {
	return map[uint8]string{6: "TCP", 17: "UDP", 132: "SCTP"}[number]
}
