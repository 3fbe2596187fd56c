package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Pod is a pod of this node.
type Pod struct {
	Namespace, Name  string
	UID, Mirrors     string // that of the API server; that of the runtime, if it mirrors a static pod, else empty
	Labels           map[string]string
	ServiceAccount   string
	Node             string // empty before it is scheduled
	HostNetwork      bool
	NamedPorts       []NamedPort
	HostPorts        []PodHostPort
	Finished         bool                        // phase Succeeded or Failed
	Addressed        bool                        // it has an address, and is not being deleted
	Ready            bool                        // it says that it is ready, and is not being deleted
	Networks, Joined string                      // further networks that it asks for, and what it is told of those that it has, as its annotations have them
	Pools            [2]string                   // CiliumPodIPPools of its IPv4 and IPv6 address; empty: as its namespace says
	Default          string                      // network that it asks for in place of the cluster's, likewise
	Owner            address.Owner               // keeps its addresses in further networks; zero: none does
	Made             struct{ Kind, Name string } // what made it, such as Deployment web; empty: not known
}

func (Pod) Header() []string {
	return []string{"Namespace", "Name", "UID", "ServiceAccount", "HostNetwork", "NamedPorts", "Labels"}
}

func (p Pod) Row() []string {
	return []string{p.Namespace, p.Name, p.UID, p.ServiceAccount, fmt.Sprint(p.HostNetwork), column.List(p.NamedPorts), column.Labels(p.Labels)}
}

var _ = declare(&tables.Pods, "pods", func(r Pod) state.Key { return ObjectKey(r.Namespace, r.Name) })

// NamedPort is a container port with a name.
type NamedPort struct {
	Name     string
	Protocol uint8 // IP protocol number
	Port     uint16
}

// PodHostPort is a port of a pod's node that leads to a port of the pod.
type PodHostPort struct {
	HostIP   netip.Addr // address of the node; unspecified: all of its family; zero: all
	Protocol uint8      // IP protocol number
	HostPort uint16
	Port     uint16 // of the pod
}

func (p NamedPort) String() string { return fmt.Sprintf("%s:%d/%d", p.Name, p.Port, p.Protocol) }
