// Package operator does what a cluster needs once and not on every node: it gives nodes their pod prefixes, removes what
// no owner has any more, and tells users what becomes of their policies.
//
// # The world it models
//
//	CiliumNode without a prefix     -> gets one of each pool (cluster-pool-ipv4-cidr, …), in IPAM mode cluster-pool
//	CiliumNode whose Node is gone   -> deleted after 5 minutes
//	CiliumIdentity without use      -> marked, and deleted 15 minutes later unless an agent has taken the mark away
//	CiliumEndpoint whose pod is gone -> deleted, if Kubernetes' own garbage collection has not
//	CiliumNetworkPolicy and its kin -> conditions Valid and Enforced, by the same reading that the agents enforce
//	the same, as they are applied   -> refused or warned about by a webhook, if there is one (package admission)
//	Secrets of Hubble's relay        -> made, and renewed before they end, if it is told to (package hubble)
//	NetworkPolicy, networks         -> events about what is not enforced, since they have no status
//
// One of several replicas acts, the holder of the Lease cilium-operator-resource-lock.
//
// # Invariants
//
//   - No two nodes get prefixes that overlap. What is given is computed (assign, a pure function) from a list read at
//     that moment, never from a cache that may lag behind our own writes; a write is based on the version it read.
//   - A node keeps its prefixes for as long as its CiliumNode lives, through restarts and changes of the pools.
//   - What is deleted was unowned for a whole grace period, and is deleted in exactly the version that was looked at.
//   - While the API server is away nothing happens, and nothing is concluded from that.
//
// # Example
//
//	err := operator.Run(ctx, operator.Config{API: api, Namespace: "kube-system", HealthAddress: "127.0.0.1:9234", Log: log})
package operator
