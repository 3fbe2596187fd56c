// Package workload derives who the workloads of this node are.
//
// # The world it models
//
// A CNI ADD leaves an Attachment: a NIC of some pod. The pod's name is known at once, its labels only when pod and namespace have
// come from the API server. From then on the NIC is a workload with labels; and once the cluster has agreed on a number for
// these labels, it has an identity and a policy set, and other nodes may know where it is:
//
//	Attachments + Pods + Namespaces + Configs  -> labels      Workloads
//	Machines, Instances, of a machine's pod    -> its labels  Workloads        (in the place of the pod's: table/machine)
//	Policies, Services that ask for a label    -> that label  Workloads
//	labels without a number                    -> a claim     IdentityClaims   (sink/kube makes a CiliumIdentity)
//	labels + Identities                        -> identity    Workloads        (Identity, Set)
//	workloads of a pod with an identity        -> endpoint    Published        (sink/kube makes a CiliumEndpoint)
//	Pods with an address and no Attachment     -> unmanaged   Unmanaged        (weft status names them)
//
// Labels change, and identities with them. A workload is two subjects meanwhile, each with a set of its own:
//
//	the kernel has it as 4711 (NICStatuses), its labels are 4712's, whose set is not in force   is 4711, second 4712
//	that set is in force (SetStatuses)                                                          is 4712, second 4711
//	the kernel has it as 4712                                                                   is 4712
//
// # Invariants
//
//   - A NIC gets labels only from the pod that it was made for: same namespace, name and UID. A pod that was made anew
//     under its old name takes nothing over.
//   - A NIC whose pod the API server does not have any more keeps the identity that it has in the kernel until its DEL comes: its container
//     lives. Other nodes do not hear of it.
//   - Two numbers for one label set are tolerated: the lower one counts, on every node.
//   - A label that the filter leaves out is part of a pod's identity while some policy would take the pod for what it is not
//     without it, and only then: see identity.Identify.
//   - Of several sandboxes of one pod, the one attached last is published.
//
// # Example
//
//	attachment c1 eth0 of pod shop/web, 10.244.1.5; pod shop/web {app=web}; identity 4711 for its labels
//	-> workload c1 eth0 shop/web 10.244.1.5 identity 4711, set (4711, "http:6/80")
//	-> endpoint shop/web 10.244.1.5 identity 4711 on node 192.168.0.1
package workload
