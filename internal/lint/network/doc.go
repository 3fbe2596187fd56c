// Package network says, before objects reach a cluster, what is wrong with further networks and with what asks for them:
// NetworkAttachmentDefinitions, pods and their kin, virtual machines, and the networks of an OpenShift cluster's configuration.
//
// # The world it models
//
// A workload names definitions, which lie in namespaces; a definition leads to a wire. What does not fit shows when a pod is to start, on a
// node, in an event: here it shows in the files, with what lies near:
//
//	vm infra/web   asks for infra/vlan-100, which is not there; prod/vlan-100 is
//	vm infra/web   is defined twice, and differs
//	nad infra/mgmt gives 192.168.100.0/24, the subnet's own address, to a NIC
//
// # Invariants
//
//   - Pure: objects in, findings out, in the order of files and lines.
//   - Of a definition that is not among the objects nothing is said while none at all is: they may be in the cluster. So it is with overlay networks.
//   - No object makes it panic (FuzzCheck).
//
// # Example
//
//	objects, problems := manifest.Read("networks.yaml", text)
//	for _, f := range network.Check(objects, problems) {
//		fmt.Println(f)
//	}
package network
