// Package grant has the tables of addresses that NICs are given before they are made: what is ordered, and what has been granted.
//
// # The world it models
//
// A NIC's definition says where its addresses come from (ipam). Some plugins see to that themselves; for others the agent does, and tells the
// plugin the outcome as a list (type static). Who grants is told by the type of ipam alone:
//
//	Orders  c1 net1  type whereabouts, {"range": "10.0.200.0/24"}    what should be granted, for as long as the NIC is wanted or there
//	Grants  c1 net1  10.0.200.10/24                                  what has been, by a sink
//	Grants  c1 net1  "no free address in 10.0.200.1-10.0.200.254 …"  or why not
//
// A row of Interfaces that needs addresses is there when its Grant is.
//
// # Invariants
//
//   - An order stays the same from the moment that its NIC has been made until that is gone: it is kept with the NIC, on disk.
//   - A Grant counts for an order with the same Terms, and for no other.
//   - What another is found to have (TakenAddresses) is exchanged before the NIC is made, unless it was asked for by name or is kept for a workload.
//   - What is granted is given back when the order goes: after the NIC is gone.
//
// # Example
//
//	if g, ok := grant.Grants.One(r, table.AttachmentKey("c1", "net1")); ok && g.Terms.Equal(order.Terms) && g.Why == "" {
//		fmt.Println(g.Is.Addresses)
//	}
package grant

import (
	"encoding/json"
	"net/netip"
	"slices"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// Terms are what an order asks for.
type Terms struct {
	Type   string         `json:"type"`            // of ipam
	Config string         `json:"config"`          // of the plugin that makes the NIC, whole, with the name of its list
	Asked  []netip.Prefix `json:"asked,omitempty"` // by the pod, in ips; an address without a length is of one alone
	Claim  string         `json:"claim,omitempty"` // name of the IPAMClaim, in the pod's namespace; empty: none
	Made   bool           `json:"made,omitempty"`  // … which the operator makes; else the pod names it
	Owner  address.Owner  `json:"owner,omitzero"`  // keeps the addresses when the NIC is gone; zero: none does
}

// Equal tells whether two ask for the same.
func (t Terms) Equal(o Terms) bool {
	return t.Type == o.Type && t.Config == o.Config && t.Claim == o.Claim && t.Made == o.Made && t.Owner == o.Owner && slices.Equal(t.Asked, o.Asked)
}

// Text is their form in a record of a NIC, in JSON; empty: nothing was granted.
func (t Terms) Text() string {
	if t.Type == "" {
		return ""
	}
	text, err := json.Marshal(t)
	if err != nil {
		return "" // of texts and addresses: it can be written
	}
	return string(text)
}

// Moves tells whether another node may take the addresses over while the NIC is there.
func (t Terms) Moves() bool { return t.Claim != "" || t.Owner != (address.Owner{}) }

// Order asks for the addresses of one NIC.
type Order struct {
	ContainerID string
	First       string // interface of the container's first NIC
	Interface   string
	Netns       string // path
	Namespace   string
	Pod         string
	UID         string
	Definition  string // namespace/name
	MAC         string // that the NIC is to have; empty: any
	Terms       Terms
	Has         []netip.Prefix // of a NIC that has been made: these it has
	Not         []Taken        // of one that has not: it gets none of these
}

func (Order) Header() []string {
	return []string{"ContainerID", "Interface", "Pod", "Definition", "Type", "Asked", "Owner"}
}

func (o Order) Row() []string {
	return []string{o.ContainerID, o.Interface, o.PodRef(), o.Definition, o.Terms.Type, column.List(o.Terms.Asked), o.Terms.Owner.String()}
}

// PodRef is how others name the pod: namespace/name.
func (o Order) PodRef() string { return o.Namespace + "/" + o.Pod }

// Orders are what should be granted.
var Orders = table.Declare("address-orders", func(r Order) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })

// Grant is the outcome of an order.
type Grant struct {
	ContainerID string
	First       string
	Interface   string
	Terms       Terms
	Is          address.Grant
	Why         string // there is none, in words; empty: there is
}

func (Grant) Header() []string { return []string{"ContainerID", "Interface", "Addresses", "Why"} }

func (g Grant) Row() []string {
	var list []netip.Prefix
	for _, a := range g.Is.Addresses {
		list = append(list, a.Prefix)
	}
	return []string{g.ContainerID, g.Interface, column.List(list), g.Why}
}

// Grants are what has been granted to NICs of this node.
var Grants = table.Declare("address-grants", func(r Grant) state.Key { return table.AttachmentKey(r.ContainerID, r.Interface) })
