package table

import (
	"fmt"
	"net/netip"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/column"
)

// Node is a member of the cluster, from its CiliumNode object.
type Node struct {
	Name      string
	Local     bool
	Addresses []netip.Addr   // InternalIPs, IPv4 first
	PodCIDRs  []netip.Prefix // carved by the operator or taken from node.spec.podCIDRs; with those of Pools
	Pools     map[string][]netip.Prefix
	Labels    map[string]string
	Leaving   bool // it is being deleted, or an autoscaler is about to; known of the local one
}

func (Node) Header() []string { return []string{"Name", "Local", "Addresses", "PodCIDRs"} }

func (n Node) Row() []string {
	return []string{n.Name, fmt.Sprint(n.Local), column.List(n.Addresses), column.List(n.PodCIDRs)}
}

// ByLocal is an index of Nodes: "true" for the local one.
const ByLocal = "local"

var _ = declare(&tables.Nodes, "nodes", func(r Node) state.Key { return state.Join(r.Name) },
	state.Index[Node]{Name: ByLocal, Keys: func(r Node) []state.Key { return []state.Key{state.Join(r.Local)} }})

// LocalNode is the node that this is; false: its CiliumNode is not known.
func (t *Tables) LocalNode(r state.Reader) (Node, bool) {
	for n := range t.Nodes.By(r, ByLocal, state.Join(true)) {
		return n, true
	}
	return Node{}, false
}

// Underlay is the address that tunnels to this node end at: its first IPv4 address, else its first IPv6 one.
func (n Node) Underlay() netip.Addr {
	if len(n.Addresses) == 0 {
		return netip.Addr{}
	}
	return n.Addresses[0]
}
