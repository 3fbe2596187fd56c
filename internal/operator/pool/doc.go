// Package pool gives nodes the parts of CiliumPodIPPools that their pods need.
//
// # The world it models
//
// An agent says in its CiliumNode how many addresses of each pool its pods need. The operator answers in the same object, with prefixes as long as the pool's
// maskSize says:
//
//	CiliumPodIPPool blue, 10.20.0.0/16, maskSize 27
//	CiliumNode a    spec.ipam.pools.requested  blue: 3    ->  allocated  blue: 10.20.0.0/27
//	CiliumNode a                               blue: 40   ->  allocated  blue: 10.20.0.0/27, 10.20.0.32/27
//	CiliumNode a                               none       ->  allocated  none; the prefixes rest
//
// # Invariants
//
//   - No two nodes share an address, of whatever pool, nor with the prefixes that nodes have without one. Of two that do the older has it.
//   - What a node has of a pool stays while it needs any of it, whatever becomes of the pool: pods use it.
//   - A prefix that comes back is given to another node after ten minutes, or where there is no other.
//
// # Example
//
//	err := pool.Add(manager, log) // once the API server serves CiliumPodIPPools
package pool
