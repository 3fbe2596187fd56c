package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Link is a veth pair: its host side here, its other side configured inside a workload's network namespace.
type Link struct {
	HostName    string
	Kind        string // veth, netkit: of a link that is made; one that is there stays as it is
	HostMAC     string
	ContainerID string
	Interface   string
	Netns, MAC  string
	MTU         int
	Addresses   []netip.Addr
	Incarnation uint32
	Further     bool           // not the container's first: no default route leads over it
	Subnets     []netip.Prefix // that routes lead to over it: of an overlay network
}

func (Link) Header() []string {
	return []string{"HostName", "Kind", "ContainerID", "Interface", "MAC", "HostMAC", "MTU", "Addresses"}
}

func (l Link) Row() []string {
	return []string{l.HostName, l.Kind, l.ContainerID, l.Interface, l.MAC, l.HostMAC, fmt.Sprint(l.MTU), column.List(l.Addresses)}
}

var _ = declare(&tables.Links, "links", func(r Link) state.Key { return state.Join(r.HostName) })
