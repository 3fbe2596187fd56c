// Package overlay has the table of overlay networks: networks of their own for further NICs of pods, which the tunnel between nodes carries.
//
// # The world it models
//
//	OverlayNetwork blue, 10.66.0.0/24   ->  Networks  blue   1  10.66.0.0/24
//	OverlayNetwork green, 10.66.0.0/24  ->  Networks  green  2  10.66.0.0/24
//	a pod's NIC in blue                 ->  attachments, rows of ipcache and nics with network 1; VNI 0xff0001
//
// The operator gives the numbers. Wires have the others (table station): one key can be of one of the two only.
//
// # Invariants
//
//   - A network without a number, or that is being deleted, gets no NICs. Those that are in it keep the number that they were made with.
//   - Its subnets never change while it lives.
//
// # Example
//
//	n, ok := overlay.Networks.One(r, state.Join("blue"))
package overlay

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
)

// Last is the highest number of a network: half of what rows of connections have room for (abi/ct.h). Wires have those beyond.
const Last = 0x7fff

// Possible tells whether a cluster with this number can have overlay networks: theirs in the tunnel are the identities of cluster 255.
func Possible(cluster uint8) bool { return cluster != 255 }

// Network is an OverlayNetwork.
type Network struct {
	Name    string
	Number  uint32         // 1 to Last; 0: none yet
	Subnets []netip.Prefix // one per family, IPv4 first
	MTU     int            // of NICs; 0: what the tunnel has room for
	Lacks   string         // why no NIC can be in it, in words; empty: nothing but perhaps a number
	Leaving bool           // it is being deleted
}

// Title names it in messages.
func (n Network) Title() string { return "overlay network " + n.Name }

func (Network) Header() []string { return []string{"Name", "Number", "Subnets", "MTU", "Lacks"} }

func (n Network) Row() []string {
	return []string{n.Name, fmt.Sprint(n.Number), column.List(n.Subnets), fmt.Sprint(n.MTU), n.Lacks}
}

// ByNumber is an index of Networks.
const ByNumber = "number"

// Networks are those of the cluster.
var Networks = table.Declare("overlay-networks", func(n Network) state.Key { return state.Join(n.Name) },
	state.Index[Network]{Name: ByNumber, Keys: func(n Network) []state.Key { return []state.Key{state.Join(n.Number)} }})

// NameOf names the network with a number. Empty: there is none.
func NameOf(r state.Reader, number uint32) string {
	if number == 0 || number > Last {
		return ""
	}
	for n := range Networks.By(r, ByNumber, state.Join(number)) {
		return n.Name
	}
	return ""
}

// SubnetOf is the subnet of a network that an address lies in; zero: none.
func (n Network) SubnetOf(a netip.Addr) netip.Prefix {
	for _, p := range n.Subnets {
		if p.Contains(a) {
			return p
		}
	}
	return netip.Prefix{}
}
