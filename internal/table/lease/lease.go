// Package lease has the tables of addresses that further NICs get by DHCP: what is to be kept, and what is held.
//
// # The world it models
//
// A NIC whose network says DHCP has no address when it is made. Its lease is an Order, until the NIC goes; what came of it is Held:
//
//	interfaces-made   c1 net1 of prod/vlan-100, MAC 02:…:0a
//	->  lease-orders  c1 net1  client weft/prod/db-0/prod/vlan-100
//	->  leases        c1 net1  10.100.0.52/24 of 10.100.0.1, until 04:12, renewed 3 times
//
// # Invariants
//
//   - The client that servers see is the owner's, if it has a name that outlives its pods: a pod that comes after gets the same address.
//
// # Example
//
//	held, ok := lease.Leases.One(r, table.AttachmentKey("c1", "net1"))
package lease

import (
	"fmt"
	"net/netip"
	"time"

	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Order is a lease that is to be kept.
type Order struct {
	ContainerID string
	First       string // interface of the container's first NIC
	Interface   string
	Index       int // of the device in its namespace, whatever its name becomes
	MAC         string
	Netns       string // path
	Namespace   string
	Pod         string
	UID         string
	Definition  string // namespace/name
	Wire        string
	Client      string // that servers know it by
	Stays       bool   // its owner outlives the pod, so it is not given back
	Wish        netip.Addr
	Gateways    []netip.Addr // of default routes that lead over it
	Provide     []dhcp.Option
	Request     []uint8
}

func (Order) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Client", "MAC"}
}

func (o Order) Row() []string {
	return []string{o.ContainerID, o.Interface, o.Namespace + "/" + o.Pod, o.Definition, o.Client, o.MAC}
}

// Title names a lease in messages.
func (o Order) Title() string {
	return fmt.Sprintf("NIC %s (%s) of %s/%s", o.Interface, o.Definition, o.Namespace, o.Pod)
}

// Same tells whether it is about the same NIC, and the same client.
func (o Order) Same(other Order) bool {
	return o.ContainerID == other.ContainerID && o.Interface == other.Interface && o.Index == other.Index && o.MAC == other.MAC && o.Client == other.Client
}

// Orders are those of this node.
var Orders = table.Declare("lease-orders", func(r Order) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })

// Lease is what came of an Order.
type Lease struct {
	ContainerID string
	First       string
	Interface   string
	Namespace   string
	Pod         string
	Address     netip.Prefix // zero: none is held
	Server      netip.Addr
	Until       time.Time // zero: it does not end
	Renewed     int       // times, by this process
	Served      bool      // there has been one
	Says        string    // why there is none
}

func (Lease) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Address", "Server", "Until", "Renewed", "Says"}
}

func (l Lease) Row() []string {
	address, server, until := "none", "none", "ever"
	if l.Address.IsValid() {
		address, server = l.Address.String(), l.Server.String()
	} else {
		until = "none"
	}
	if !l.Until.IsZero() {
		until = l.Until.UTC().Format(time.RFC3339)
	}
	return []string{l.ContainerID, l.Interface, l.Namespace + "/" + l.Pod, address, server, until, fmt.Sprint(l.Renewed), l.Says}
}

// Leases are those of this node.
var Leases = table.Declare("leases", func(r Lease) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })
