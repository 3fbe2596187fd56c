// Package link makes the node's devices equal to tables: a veth pair per Link, the overlay device per Tunnel, and the
// programs on them per Hook.
//
// # The world it models
//
// A Link is made in one go: the pair, its far side born inside the workload's network namespace, MAC addresses, MTU,
// addresses, routes, neighbours, kernel settings, and last the host side's alias "weft:<incarnation>". The alias says two
// things: the device is ours, and it was finished. A device without it that has one of our names is what a crash left
// behind, and is made anew. Inside a finished one nothing is ever touched again: a workload may do with its interface what
// it likes (a virtual machine's launcher renames it and moves its addresses elsewhere).
//
//	workload's side                               host's side
//	eth0  MAC, MTU, up                            weft3f9a0c1b2d  MAC, MTU, up, alias weft:17
//	10.244.1.7/32, fd00:1::7/128 (nodad)          no address, not even a link-local one
//	169.254.1.1 dev eth0, default via it          neighbours: the workload's addresses at its MAC, permanent
//	default via fe80::1 dev eth0 onlink
//	neighbours: both gateways at the host's MAC, permanent
//
// So no ARP or NDP is needed between the two, ever; the programs answer it nevertheless, for guests behind the workload.
//
// The overlay device is a VXLAN device in collect-metadata mode: programs say where a packet goes. It has no addresses, does
// no ARP, and learns nothing.
//
// Kernel settings (sysctls), each with its reason, are in one table: Sysctls.
//
// # Invariants
//
//   - Only devices with our alias, or with one of our names and no alias, are ever changed or deleted. Others in the way are
//     an error that names them.
//   - A link of an earlier incarnation never passes for one of this.
//   - What takes part of a link away (its namespace, its far side) takes all of it: the kernel removes pairs whole.
//
// # Example
//
//	links, err := link.NewLinks(link.Options{})
//	err = link.PrepareNode("/proc", "/var/lib/weft/settings-before.json")
//	loop := &reconcile.Loop[table.Link]{Table: tables.Links, Sink: links}
package link
