// Package static decides which addresses a NIC has whose network lists them, or whose pod asks for them.
//
// # The world it models
//
// A configuration of type static has addresses, and a pod may ask for others by ips in its networks annotation. What the pod asks
// for takes the place of the list. What remains of the list is what it says of its subnets: their lengths and gateways.
//
//	list                          the pod asks for    the NIC has
//	192.168.100.10/24 via .1      nothing             192.168.100.10/24 via .1
//	192.168.100.0/24 via .1       192.168.100.10      192.168.100.10/24 via .1
//	192.168.100.0/24              nothing             nothing: that is the subnet's address, and no NIC's
//
// # Invariants
//
//   - ips count whether or not the plugin declares the capability of that name. The plugins project hands them only to plugins that
//     declare it, and so gives all pods of such a network one and the same address.
//   - No NIC gets the address of a subnet, its broadcast address, or that of its gateway.
//   - Each address comes with a length: that which it was asked for with, or that of the listed subnet which it is in.
//
// Source: containernetworking/plugins, documentation of static and its capability ips.
//
// # Example
//
//	conf, gaps := static.Parse(config)
//	grant, more := conf.Grant(asked)
package static
