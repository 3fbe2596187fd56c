package process

import (
	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/table"
)

// Publication is what a node has to tell the cluster: all of it, or with More what is new.
type Publication struct {
	More      bool     // what was told before holds
	Claims    []string // label sets without a number
	Endpoints []*v2.CiliumEndpoint
	Gone      []*v2.CiliumEndpoint
}

// Published are the endpoints that a node has told the cluster of, by namespace and name.
type Published map[string]*v2.CiliumEndpoint

// With takes in what is new, and tells which endpoints are gone.
func (p Published) With(news Publication) (now Published, gone []*v2.CiliumEndpoint) {
	key := func(e *v2.CiliumEndpoint) string { return e.Namespace + "/" + e.Name }
	if now, gone = p, news.Gone; !news.More {
		now = Published{}
	}
	for _, e := range news.Endpoints {
		now[key(e)] = e
	}
	for _, e := range news.Gone {
		delete(now, key(e))
	}
	for k, e := range p { // if that is all the same there are none
		if now[k] == nil {
			gone = append(gone, e)
		}
	}
	return now, gone
}

// endpoint is the object that tells the cluster of a local pod.
func endpoint(e table.PublishedEndpoint) *v2.CiliumEndpoint {
	o := &v2.CiliumEndpoint{}
	o.Namespace, o.Name = e.Namespace, e.Name
	o.Status.State = v2.EndpointReady
	o.Status.Identity = &v2.EndpointIdentity{ID: int64(e.Identity)}
	for name, value := range e.Labels.All() {
		o.Status.Identity.Labels = append(o.Status.Identity.Labels, name+"="+value)
	}
	o.Status.Networking = &v2.EndpointNetworking{NodeIP: e.Node.String()}
	for _, a := range e.Addresses {
		pair := v2.AddressPair{IPV4: a.String()}
		if a.Is6() {
			pair = v2.AddressPair{IPV6: a.String()}
		}
		o.Status.Networking.Addressing = append(o.Status.Networking.Addressing, pair)
	}
	for _, p := range e.NamedPorts {
		o.Status.NamedPorts = append(o.Status.NamedPorts, v2.NamedPort{Name: p.Name, Protocol: protocolName(p.Protocol), Port: p.Port})
	}
	return o
}

func protocolName(number uint8) string {
	return map[uint8]string{6: "TCP", 17: "UDP", 132: "SCTP"}[number]
}
