// Package identity says who a workload is: a set of labels, and the number that the cluster agreed on for it.
//
// Policies speak of labels, packets carry numbers. All pods of one label set share one number, so a deployment of a
// thousand replicas is one identity. What is not a pod has a reserved number (host, world, remote-node, …) whose only
// label has the source reserved.
//
// A pod's identity labels are its own labels less what no policy should depend on (Filter), plus where it lives:
//
//	pod web-1 {app=web, pod-template-hash=5d4}, namespace shop {team=blue}, service account default, cluster default
//	k8s:app=web;
//	k8s:io.cilium.k8s.namespace.labels.team=blue;
//	k8s:io.cilium.k8s.policy.cluster=default;
//	k8s:io.cilium.k8s.policy.serviceaccount=default;
//	k8s:io.kubernetes.pod.namespace=shop;
//
// Invariants: equal label sets are == and print alike; a pod cannot claim a namespace, a cluster or a service account by
// its own labels; Candidate and Next visit all 65,280 numbers of a cluster in an order that depends on labels only, so
// agents that race for a number try the same one first.
package identity
