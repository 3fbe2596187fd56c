// Package order answers orders for addresses of ranges that all nodes of the cluster share.
//
// # The world it models
//
// What an order has is the configuration of the plugin that makes the NIC. Both types that are served here are written as the plugin whereabouts
// has it:
//
//	whereabouts  taken as it stands, with the flat file of the node; the books of the plugin are kept, where its CRDs are installed
//	weft         the same words; addresses stay with the pods of StatefulSets and with virtual machines
//
// In one network_name no address is given twice, whichever type and whichever ranges: both give out of the same blocks. A range that says
// enable_overlapping_ranges: false (whereabouts) is a space of its own.
//
// # Invariants
//
//   - The configured gateway is given to no NIC.
//   - What a pod asks for by ips is an address of one of the ranges' subnets, inside the range or not, and takes the place of one out of that subnet.
//   - Addresses that the network gives to every NIC (addresses) come after those of ranges.
//
// # Example
//
//	c, err := order.New(order.Config{API: api, Node: "node-a", Log: log})
//	sink := &grant.Sink{DB: db, Granters: map[string]grant.Granter{"weft": c, "whereabouts": c}}
package order
