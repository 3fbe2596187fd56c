// Package address has the words for what a NIC of a further network gets: addresses, routes, name servers, and for which
// workload; and it reads those parts of a CNI configuration that all kinds of IPAM write alike.
//
// # The world it models
//
// The configuration of a NIC's network says where its addresses come from, its pod may ask for some by name, and the answer is a Grant. An address belongs to a container as long as that lives, or to a workload with a
// name that outlives it (Owner): the pod of a StatefulSet, a virtual machine.
//
// # Invariants
//
//   - A gateway makes no route. Only what stands in routes does, and a route without a gateway of its own takes that of the
//     first address of its family that has one.
//   - Name servers are passed on, to network-status and to guests; nothing writes them into a resolv.conf.
//   - Addresses are read as other implementations read them: 192.168.002.10 is 192.168.2.10.
//
// Source: CNI specification 1.1.0, "Network configuration format" and "Success"; containernetworking/plugins, documentation of static.
//
// # Example
//
//	var r address.Reader
//	routes := r.Routes("ipam.routes", conf.IPAM.Routes)
//	if len(r.Gaps) > 0 { … } // ipam.routes[0].dst: "10.0.0.0" is no subnet, such as 10.0.0.0/8
package address
