package identity

import "hash/fnv"

// Number is an identity as the kernel and the wire know it: 24 bits, the cluster id in bits 16 to 23.
// 0 is unknown, 1 to 255 are reserved, 256 to 65535 belong to label sets.
type Number uint32

// Reserved numbers. They are Cilium's.
const (
	Host          Number = 1 // this node itself
	World         Number = 2 // outside the cluster, where one address family is in use
	Unmanaged     Number = 3
	Health        Number = 4
	Init          Number = 5 // a workload whose labels are not known yet
	RemoteNode    Number = 6
	KubeAPIServer Number = 7
	Ingress       Number = 8
	WorldIPv4     Number = 9 // outside the cluster, where both address families are in use
	WorldIPv6     Number = 10
)

const (
	first = 256           // smallest number of a label set
	count = 1<<16 - first // numbers of one cluster
)

var names = [...]string{
	Host: "host", World: "world", Unmanaged: "unmanaged", Health: "health", Init: "init", RemoteNode: "remote-node",
	KubeAPIServer: "kube-apiserver", Ingress: "ingress", WorldIPv4: "world-ipv4", WorldIPv6: "world-ipv6",
}

// ReservedNumbers lists the reserved numbers that have a name, in ascending order.
func ReservedNumbers() []Number {
	numbers := make([]Number, 0, len(names)-1)
	for n := range names[1:] {
		numbers = append(numbers, Number(n+1))
	}
	return numbers
}

// IsReserved tells whether the number is one of those that no label set is given: 1 to 255.
func (n Number) IsReserved() bool { return n > 0 && n < first }

// Name is what people call a reserved number ("host", "world", …), empty for every other.
func (n Number) Name() string {
	if int64(n) < int64(len(names)) {
		return names[n]
	}
	return ""
}

// Reserved gives the labels of a reserved number, e.g. reserved:host; none if it has no name.
func Reserved(n Number) Labels {
	if n.Name() == "" {
		return Labels{}
	}
	return NewLabels(map[string]string{SourceReserved + ":" + n.Name(): ""})
}

// Candidate is the number to try first for a label set in a cluster: 256 + hash mod 65280, the cluster id above it.
func Candidate(l Labels, clusterID uint8) Number {
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.String()))
	return Number(clusterID)<<16 | Number(first+h.Sum64()%count)
}

// Next is the number to try when n belongs to another label set. It comes back to where it began after 65,280 steps.
func Next(n Number, clusterID uint8) Number {
	local := n & 0xffff
	if local++; local < first || local > 0xffff {
		local = first
	}
	return Number(clusterID)<<16 | local
}
