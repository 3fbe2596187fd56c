// Package peer has the tables of NICs beside the first that other nodes' pods have: what nodes publish of theirs, what this one is to publish,
// and where two claim one address.
//
// # The world it models
//
//	node a  interfaces-made c1 net1 192.168.100.5/24 on ens192  ->  Published  shop/web-3f9a…          an object of the API server
//	node b  Peers  shop/web-3f9a… 192.168.100.5 on ens192       ->  ipcache    (network of ens192, 192.168.100.5) has web's identity
//
// Who a peer is says its pod's CiliumEndpoint. One that speaks of a pod of another node makes no claim.
//
// # Invariants
//
//   - An address means nothing without its network.
//   - Of several that claim an address the oldest object has it, whatever came first to this node: objects never change.
//
// # Example
//
//	for p := range peer.Peers.By(r, peer.ByAddress, state.Join(station.NetworkOf("ens192"), address)) {
//		fmt.Println(p.Namespace, p.Pod)
//	}
package peer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/column"
	"weftnet.io/weftnet/internal/table/station"
)

// NIC is what a node tells others of a NIC of a pod.
type NIC struct {
	Namespace string
	Name      string // of the object
	Pod       string
	PodUID    string
	Node      string
	Interface string
	// Definition is namespace/name of the NetworkAttachmentDefinition, Wire where it leads, in words.
	Definition string
	Wire       string
	Overlay    uint32 // number of the overlay network that it is in; 0: it is on a wire
	Addresses  []netip.Addr
	MAC        string
}

func (NIC) Header() []string {
	return []string{"Name", "Pod", "Node", "Interface", "Definition", "Wire", "Addresses", "MAC"}
}

func (n NIC) Row() []string {
	return []string{n.Namespace + "/" + n.Name, n.Namespace + "/" + n.Pod, n.Node, n.Interface, n.Definition, n.Wire, column.List(n.Addresses), n.MAC}
}

// Network is the number of its network: that of its overlay network, or of its wire.
func (n NIC) Network() uint32 {
	if n.Overlay != 0 {
		return n.Overlay
	}
	return station.NetworkOf(n.Wire)
}

func keyOf(n NIC) state.Key { return table.ObjectKey(n.Namespace, n.Name) }

// NameOf is the name of the object about a NIC: a pod that follows another one of its name has objects of other names.
func NameOf(pod, uid, nic string) string {
	sum := sha256.Sum256([]byte(uid + "/" + nic))
	return strings.TrimRight(pod[:min(len(pod), 200)], "-.") + "-" + hex.EncodeToString(sum[:6])
}

// Published are what this node is to tell of its pods.
var Published = table.Declare("published-interfaces", keyOf)

// Peer is what a node has told.
type Peer struct {
	NIC
	UID   string    // of the object
	Since time.Time // when the API server made it
}

func (p Peer) Header() []string { return append(p.NIC.Header(), "Since") }

func (p Peer) Row() []string {
	since := ""
	if !p.Since.IsZero() {
		since = p.Since.UTC().Format(time.RFC3339)
	}
	return append(p.NIC.Row(), since)
}

// Before tells which of two has an address that both claim.
func (p Peer) Before(o Peer) bool {
	return cmp.Or(p.Since.Compare(o.Since), cmp.Compare(p.UID, o.UID), cmp.Compare(keyOf(p.NIC), keyOf(o.NIC))) < 0
}

// Indexes of Peers.
const (
	ByAddress = "address" // network, address
	ByNetwork = "network"
)

// Peers are those of all nodes, this one among them.
var Peers = table.Declare("peers", func(p Peer) state.Key { return keyOf(p.NIC) },
	state.Index[Peer]{Name: table.ByPod, Keys: func(p Peer) []state.Key { return []state.Key{table.ObjectKey(p.Namespace, p.Pod)} }},
	state.Index[Peer]{Name: ByNetwork, Keys: func(p Peer) []state.Key { return []state.Key{state.Join(p.Network())} }},
	state.Index[Peer]{Name: ByAddress, Keys: func(p Peer) (keys []state.Key) {
		for _, a := range p.Addresses {
			keys = append(keys, state.Join(p.Network(), a))
		}
		return keys
	}})

// Conflict is an address of a network that a pod of this node has and another pod claims, too.
type Conflict struct {
	Network        uint32
	Address        netip.Addr
	Wire           string
	Namespace, Pod string // of this node
	Interface      string
	Other          string // namespace/name of the other pod, and its node
	Holder         bool   // other nodes take the pod of this node for the one that has it
}

func (Conflict) Header() []string { return []string{"Wire", "Address", "Pod", "Other", "Holder"} }

func (c Conflict) Row() []string {
	return []string{c.Wire, c.Address.String(), c.Namespace + "/" + c.Pod, c.Other, fmt.Sprint(c.Holder)}
}

// Text says it to people.
func (c Conflict) Text() string {
	text := fmt.Sprintf("pod %s claims address %s of %s on %s, too", c.Other, c.Address, c.Interface, c.Wire)
	if c.Holder {
		return text + ": other nodes take it for this pod's, which was first; give one of the two another address"
	}
	return text + ": other nodes take it for that one's, which was first; give one of the two another address"
}

// Conflicts are those of this node's pods.
var Conflicts = table.Declare("address-conflicts", func(c Conflict) state.Key {
	return state.Join(c.Network, c.Address, c.Namespace, c.Pod, c.Interface, c.Other)
})

// Who is who has an address, as far as nodes have told: the oldest claim of a node about a pod of its own. The local node speaks by its
// tables, not by what it has told.
func Who(r state.Reader, t *table.Tables, network uint32, a netip.Addr) (Peer, table.Endpoint, bool) {
	var winner Peer
	var end table.Endpoint
	local, _ := t.LocalNode(r)
	for p := range Peers.By(r, ByAddress, state.Join(network, a)) {
		if p.Node == local.Name {
			continue
		}
		if e, ok := Speaks(r, t, p); ok && (winner.Pod == "" || p.Before(winner)) {
			winner, end = p, e
		}
	}
	return winner, end, winner.Pod != ""
}

// Speaks is the endpoint of a peer's pod, if the node that has told of the peer is the pod's own.
func Speaks(r state.Reader, t *table.Tables, p Peer) (table.Endpoint, bool) {
	e, ok := t.Endpoints.One(r, table.ObjectKey(p.Namespace, p.Pod))
	if !ok || e.Identity == 0 {
		return e, false
	}
	if e.NodeName != "" && len(p.Node) <= 63 { // a longer name is in the label as a digest
		return e, e.NodeName == p.Node
	}
	n, known := t.Nodes.One(r, state.Join(p.Node))
	if !known {
		return e, false
	}
	for _, at := range n.Addresses {
		if at == e.Node {
			return e, true
		}
	}
	return e, false
}
