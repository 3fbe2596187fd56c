// Package conformance runs the conformance tests of the policy API (sigs.k8s.io/network-policy-api: ClusterNetworkPolicy
// v1alpha2) on a cluster, as their authors wrote them. It is a module of its own, as they bring modules that nothing else
// here needs.
//
//	make lab && make conformance          on the lab
//	cd test/conformance && KUBECONFIG=… go test -count=1 -v .     anywhere else
//
// # What is left out
//
// SCTP, where the kernel has no SCTP sockets (no program can listen): the containers that would listen wait instead, and the
// tests that call them are skipped, those among them that also call by TCP and UDP as well. With -skip none (of that name)
// these run, and stop at their first call by SCTP.
package conformance
