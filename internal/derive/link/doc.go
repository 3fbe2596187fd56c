// Package link derives the devices and routes that carry workloads' packets: Links, Tunnels, Routes.
//
// # The world it models
//
// Every attachment wants a veth pair. Its MTU depends on the device that carries packets between nodes
// (the underlay): the one that holds the node's first address, else one with a default route. Packets for
// workloads travel by routes of the node's own table; the programs on devices shortcut most of them, but what the node
// itself sends, and what netfilter has to see, follows routes:
//
//	10.244.1.7/32   dev weft3f9a0c1b2d                    a workload of this node, once its device is up
//	10.244.2.0/24   dev weft_vxlan src 192.168.0.1        those of another node, routing-mode tunnel
//	10.244.2.0/24   via 192.168.0.2 dev eth0              the same, routing-mode native with auto-direct-node-routes
//
// In tunnel mode the source is the node's own address, since the tunnel device has none: a remote workload answers to
// it directly. In native mode without auto-direct-node-routes the network is expected to know the way, and so it is for
// nodes that no device of this one reaches directly.
//
// # Invariants
//
//   - Of two attachments that claim one address, as during a migration, the later one (higher incarnation) has the route;
//     of two nodes that claim one prefix, the one with the lower name, and this node before all.
//   - A link is wanted as long as its attachment exists. That its MTU is not known yet, or not any more, is no reason to
//     take a workload's network away.
//   - The key of the route derivation is the route's own prefix, so a change costs the prefixes it speaks of.
//
// # Example
//
//	for _, d := range link.Derivations(tables) {
//		go d.Run(ctx, db)
//	}
package link
