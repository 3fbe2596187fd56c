// Package whereabouts reads the configuration of the IPAM plugin whereabouts as it stands, and knows the names and numbers by which
// that plugin keeps its books.
//
// # The world it models
//
// A configuration has ranges; a NIC gets one address of each. A range is a subnet and a part of it, less what is excluded:
//
//	range, range_start, range_end, exclude    the first range
//	ipRanges: [{range, range_start, …}]       further ones
//	range: 192.168.2.225-192.168.2.230/28     start and end in one; they win over range_start and range_end
//	network_name                              a space of its own: the same address may be given in each
//	enable_overlapping_ranges                 true unless it says false: no address twice, in whichever ranges of the space
//	node_slice_size                           each node gives out of its part of the first range
//	gateway, addresses, routes, dns           as in a configuration of type static; the gateway is that of all ranges
//
// A file on the node may fill what a configuration leaves out (flat file).
//
// The plugin keeps an object IPPool for each range, in which an address stands as its distance from the subnet's first
// one, and an OverlappingRangeIPReservation for each address.
//
// # Invariants
//
//   - The same configuration leads to the same addresses as in version 0.9.2 of the plugin (TestRangesAsThePluginHasThem walks
//     each range address by address): neither the subnet's first address nor its last is given out, of either family; a start or
//     end that is outside is passed over; of a wide IPv6 subnet only the first 2^63 addresses are used.
//   - What makes no sense to the plugin is a gap of reason Invalid that names the field. What it passes over is a gap of reason
//     Ignored: it may be meant otherwise.
//
// Source: k8snetworkplumbingwg/whereabouts 0.9.2, README.md and doc/extended-configuration.md.
//
// # Example
//
//	ranges, gaps := whereabouts.Parse(config, flat)
//	for a := range ranges.Of[0].All() { … } // 192.168.2.225, …
package whereabouts
