// Package ipam decides which address a workload gets. It holds no clock, no disk and no network: the caller tells it
// the time and what was handed out before.
//
// # The world it models
//
// A node owns prefixes of one or both families, carved for it by the operator or by Kubernetes. A Pool is what the node
// owns of one family: its prefixes, in the order in which the node lists them. An address of a pool is in exactly one
// of these states:
//
//	reserved   never given to a workload: the network and the broadcast address of an IPv4 prefix (RFC 919), the
//	           subnet-router anycast address of an IPv6 one (RFC 4291 2.6.1), and the first address after it, which
//	           stays with the node itself. A prefix of one or two addresses has none of these (RFC 3021, RFC 6164).
//	never used no pod has had it since the pool began
//	held       by one owner, which is any text (source/cni takes the container ID and the interface)
//	resting    given back less than the rest time ago: packets, conntrack entries, remote nodes and caches may still
//	           mean the old owner
//	rested     given back and free again
//
// Allocate prefers never-used addresses, in order, and then takes the one that has been back for longest. So an
// address comes round again as late as possible.
//
// # Invariants
//
//   - No address has two owners and no owner has two addresses of a pool.
//   - No address is given out before its rest is over, not even when it is asked for by name.
//   - What an owner holds stays held whatever happens to the prefixes: if they change under it, it keeps its address,
//     and the address rests and is forgotten once it is back.
//   - A pool built again from Marks and from what is held behaves like the old one, except that everything that was
//     given back begins its rest anew.
//
// # Example
//
//	p := ipam.New(time.Minute, netip.MustParsePrefix("10.244.1.0/24"))
//	a, err := p.Allocate("c1/eth0", now) // 10.244.1.2
//	p.Release("c1/eth0", now)
package ipam
