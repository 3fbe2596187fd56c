// Package address gives addresses of ranges that all nodes of a cluster share, and keeps what it gives in objects of the API server.
//
// # The world it models
//
// A Book is what one agent knows of AddressBlocks (package ipam/cluster says what they are). NICs that ask at one time are answered
// together: each is given an address in a copy of a block, the block is written once for all of them, and only what the API server took
// is answered. What it refused, since another agent was first, is read again and decided anew.
//
//	Take -> [block of this node | a new one | one given back | another node's] -> write -> answer
//
// An owner whose name outlives its pods has a StickyAddress, or an IPAMClaim where its pod names one: the API server's create, or its check of resource
// versions, decides which address is the owner's if two nodes ask at once. The loser gives back what it had taken, and joins.
//
// Where the CRDs of whereabouts are installed, IPPool and OverlappingRangeIPReservation are written for every address of such a network
// before it is answered, as the plugin itself does on nodes where it still runs: it and Weftnet never give one address
// twice, and an address that a pod has from the plugin stays with it.
//
// # Invariants
//
//   - No address of a space is answered twice while it is held: not if agents die at any point, not if an answer of the API server is lost.
//   - What an agent took and never answered is found by Sweep, since its container is not among those that live.
//   - A block is deleted by its node alone, when nothing of it is used, in the version that this was seen in.
//
// # Example
//
//	book, err := address.New(address.Config{API: api, Node: "node-a"})
//	book.Restore(nics)                                     // of the journal
//	a, err := book.Take(ctx, cluster.Want{From: spans, Holder: nic})
//	err = book.Release(ctx, "c0ffee", "net1")
package address
