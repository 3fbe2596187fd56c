// Package claim makes the IPAMClaims of workloads on networks with allowPersistentIPs, where no other component makes them.
//
// # The world it models
//
// KubeVirt's IPAM extensions make a claim for each network of a virtual machine, and name it in the annotation of its pods. Where they do not run, and for
// StatefulSets, which they do not know, pods name none:
//
//	definition plant, allowPersistentIPs     pod of VirtualMachine press    ->  IPAMClaim press.plant, owned by the VirtualMachine
//	                                         pod db-0 of StatefulSet db     ->  IPAMClaim db-0.plant, owned by the StatefulSet
//	                                         a pod that names a claim       ->  none: another has made it
//
// The agent of the pod's node knows the name by the same rule (attachment.Definition.Claim), waits for the claim, gives it addresses and writes its status.
//
// # Invariants
//
//   - A claim that is there is left alone, by whatever it was made: if it is another's, the agent refuses the NIC, with both names.
//   - A claim has an owner, so it goes with that. What has been made for a pod that a StatefulSet was scaled down by goes after a while (package address).
//
// # Example
//
//	err := claim.Add(manager, log) // once the API server serves both kinds
package claim
