// Package ipcache derives who lives at an address and how to get there: the rows of table ipcache.
//
// # The world it models
//
// Many facts speak of one address: a NIC attached here, a CiliumEndpoint that a node published, the addresses of nodes
// and devices, the pod prefixes of nodes, the configuration. Each makes a claim to the address (or prefix); the strongest
// claim becomes the row, whatever came first:
//
//	1  an address of this node (its CiliumNode, its devices,   local,node,cluster  identity host
//	   those of one link or of every node among them)
//	2  a NIC of this node, once its device is there            local,cluster       identity of the workload, ifindex
//	3  an address of another node                              node,cluster        identity remote-node, underlay
//	4  a CiliumEndpoint of another node                        cluster             its identity, underlay of its node
//	5  broadcast addresses of this node's links and subnets    local,node,cluster  identity host
//	6  a pod prefix of this node: no pod has it yet            local,cluster       identity unmanaged
//	7  a pod prefix of another node                            cluster             identity unmanaged, underlay
//	8  a VTEP (vtep-endpoint)                                  vtep                identity world
//	   and what lies behind it (vtep-cidr), but no part of     vtep                identity world, address and MAC of the VTEP
//	   a node's pod prefix
//	9  a natively routed prefix (…-native-routing-cidr)        cluster             identity world
//	10 everything else, 0.0.0.0/0 and ::/0                     -                   identity world
//
// Between claims of one strength: of two NICs the one attached later (the DEL of a replaced container may not have come yet),
// of two nodes the one with the lower name, of two endpoints the one whose node gives out the address, else the one with the
// higher UID. An endpoint that a node has written about an address of another node makes no claim: a node speaks for itself
// alone. None of that depends on the order of events.
//
// Addresses on other nodes carry the underlay address of their node; with native routing they have the flag direct as
// well. With both families in use, world is world-ipv4 or world-ipv6.
//
// # Invariants
//
//   - Every row has an identity. A workload without one, or whose device is not there yet, makes no claim, and the
//     pod prefix of the node answers for its address: no packet is let in by mistake.
//   - 0.0.0.0/0 and ::/0 are there together, whatever the families in use: the datapath keeps both in one trie. They
//     come with the first setting, or with this node's own row.
//   - The key of the derivation is the row's own key (network, prefix), so a change costs the prefixes it speaks of.
//
// # Example
//
//	endpoint shop/web of node 192.168.0.2 with 10.244.2.5, identity 4711, on node 192.168.0.1:
//
//	NETWORK  PREFIX         IDENTITY  IFINDEX  FLAGS    TUNNEL
//	0        10.244.2.5/32  4711      0        cluster  192.168.0.2
package ipcache
