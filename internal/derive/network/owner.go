package network

import (
	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/table/network"
)

// ownerOf is who keeps the addresses of a pod's NICs, of what its workload is.
func ownerOf(o address.Owner) network.Owner {
	switch o.Kind {
	case "StatefulSet":
		return network.Owner{Name: o.Pod}
	case "VirtualMachine":
		return network.Owner{Machine: true, Name: o.Name}
	}
	return network.Owner{}
}
