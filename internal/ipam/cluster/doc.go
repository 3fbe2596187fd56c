// Package cluster decides which addresses NICs get where all nodes of a cluster give out of the same ranges. It decides on blocks as
// they were read; that nothing has changed meanwhile is checked when they are written.
//
// # The world it models
//
// A space is a set of addresses none of which is given twice. It is cut into blocks of 16, whatever ranges networks have: ranges that
// overlap are parts of the same blocks. A block belongs to a node, which gives out of it without asking others, until all of it
// is free and it is given back. An address of a block is
//
//	free      never used, or given back longer than a rest ago
//	held      by a NIC, or by two while a virtual machine moves
//	kept      by a workload that has no pod now, and will have the address again
//	resting   given back a moment ago: connections, caches and neighbours may still mean the former holder
//
// # Invariants
//
//   - An address is held for one workload at a time. Without an owner it is held by one NIC.
//   - A NIC or an owner that asks again for an address of a range gets the one that it has.
//   - What is kept for an owner is given to no other, however short the range.
//   - Nothing depends on the order of blocks or of entries.
//
// # Example
//
//	key := cluster.KeyOf("", netip.MustParseAddr("10.0.200.17")) // 10.0.200.16/28
//	b := cluster.Block{Key: key, Node: "node-a"}
//	a, ok := b.Take(cluster.Want{From: spans, Holder: nic}, now, time.Minute)
package cluster
