// Package kube writes what this node owes the cluster into the API server: identities that its workloads need, an
// endpoint for each of its pods, its own CiliumNode, and events.
//
// # The world it models
//
// Three kinds of object, three rules of ownership:
//
//   - A CiliumIdentity belongs to the cluster. An agent that needs a number for a label set creates one, probing numbers in an
//     order that depends on the labels alone; the API server's create decides every race. Only the operator
//     deletes one, after it has been out of use for long. It marks the identity first (annotation
//     weftnet.io/unused-since) and deletes only that version of it; an agent that begins to use a marked identity takes
//     the mark away, and so either the deletion fails or the agent sees it and creates the identity anew.
//   - A CiliumEndpoint belongs to the node that its label weftnet.io/node names, and to the pod that owns it. A node
//     takes over the name from another only for a pod that the API server still has, and deletes only what is its own.
//   - A CiliumNode is written by its node, except spec.ipam.podCIDRs, which is the operator's in mode cluster-pool.
//
// Statuses of policies are no business of a node: all nodes would write the same. The operator does it.
//
// # Invariants
//
//   - Every method is idempotent, and an object that is as it should be is not written.
//   - An update carries the resource version that it is based on, a deletion uid and version: nothing is overwritten
//     that has not been looked at.
//
// # Example
//
//	sink, err := kube.NewIdentities(api, db, tables)
//	loop := &reconcile.Loop[table.IdentityClaim]{Table: tables.IdentityClaims, Sink: sink, Every: 15 * time.Second}
package kube
