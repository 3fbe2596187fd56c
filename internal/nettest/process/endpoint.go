package process

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/peer"
)

// Publication is what a node has to tell the cluster: all of it, or with More what is new.
type Publication struct {
	More      bool     // what was told before holds
	Claims    []string // label sets without a number
	Endpoints []*v2.CiliumEndpoint
	NICs      []*v1alpha1.PodInterface
	Gone      []*v2.CiliumEndpoint
	GoneNICs  []*v1alpha1.PodInterface
}

// Objects are those that there are.
func (p Publication) Objects() []runtime.Object {
	return append(objects(p.Endpoints), objects(p.NICs)...)
}

func objects[O runtime.Object](list []O) (out []runtime.Object) {
	for _, o := range list {
		out = append(out, o)
	}
	return out
}

// Published are the objects that a node has told the cluster of, by kind, namespace and name.
type Published map[string]runtime.Object

// With takes in what is new, and tells which objects are gone.
func (p Published) With(news Publication) (now Published, gone []runtime.Object) {
	key := func(o runtime.Object) string {
		a, _ := meta.Accessor(o) // they are objects
		return fmt.Sprintf("%T %s/%s", o, a.GetNamespace(), a.GetName())
	}
	if now, gone = p, append(objects(news.Gone), objects(news.GoneNICs)...); !news.More {
		now = Published{}
	}
	for _, o := range news.Objects() {
		now[key(o)] = o
	}
	for _, o := range gone {
		delete(now, key(o))
	}
	for k, o := range p { // if that is all the same there are none
		if now[k] == nil {
			gone = append(gone, o)
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

// podInterface is the object that tells the cluster of a NIC of a local pod.
func podInterface(n peer.NIC) *v1alpha1.PodInterface {
	o := &v1alpha1.PodInterface{Spec: v1alpha1.PodInterfaceSpec{
		Pod: n.Pod, Node: n.Node, Interface: n.Interface, Network: n.Definition, Wire: n.Wire, Overlay: int32(n.Overlay), MAC: n.MAC,
	}}
	o.Namespace, o.Name = n.Namespace, n.Name
	for _, a := range n.Addresses {
		o.Spec.Addresses = append(o.Spec.Addresses, a.String())
	}
	return o
}
