// Package lease keeps the leases of NICs that get their addresses by DHCP: it speaks in their pods' namespaces, puts addresses there, and takes off
// what has ended.
//
// # The world it models
//
//	lease-orders  c1 net1   ->  a client (ipam/dhcp), on the device with that index in the pod's namespace
//	                            DISCOVER … ACK  ->  is the address free?  ->  record on disk  ->  address and routes of the NIC
//	                            row of leases, the NIC's addresses in interfaces-made
//	the NIC goes            ->  RELEASE, record gone
//
// The kernel is told how long an address lasts, so it takes one off whose lease ends while no agent runs.
//
// # Invariants
//
//   - A record is on disk before an address is used, and an agent that restarts goes on with it: it asks no server before it is time.
//   - Another machine's address is not used: it is asked for on the wire first, and declined if it is taken.
//   - Other addresses and routes of the NIC are not touched, and no route takes the place of one that is there.
//   - A device is heard only while an answer is due.
//   - What has a name that outlives the pod (a StatefulSet's pod, a virtual machine) keeps its lease at the server: nothing is given back.
//
// # Example
//
//	k, err := lease.Open(lease.Options{DB: db, StateDir: "/var/lib/weft", Log: log})
//	loop := &reconcile.Loop[table.Order]{Table: table.Orders, Sink: k}
package lease
