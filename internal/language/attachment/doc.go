// Package attachment reads which further networks a workload asks for, and what these are: the networks annotation of pods and
// virtual machines, and NetworkAttachmentDefinitions.
//
// # The world it models
//
// A definition is a CNI configuration, or a list of them, in JSON, under a name of a namespace. A workload asks for an attachment
// by naming it, and may say addresses, a MAC, an interface:
//
//	k8s.v1.cni.cncf.io/networks: storage, infra/management@mgmt
//	k8s.v1.cni.cncf.io/networks: '[{"name": "storage", "ips": ["10.0.200.10/24"]}]'
//
// Several definitions may lead to one wire: the Segment, an uplink or a bridge with a VLAN. It says which NICs can reach each other
// without a router, and share their addresses; names of definitions do not.
//
// # Invariants
//
//   - An annotation is read whole or rejected with all that is wrong with it: a workload gets all the networks it asks for, or none.
//   - What a definition says and this package does not know stays in Plugin.Raw, for the plugin.
//   - No text makes it panic (FuzzRequests, FuzzDefinition, FuzzJoins).
//
// Sources: Network Plumbing Working Group, "Kubernetes Network Custom Resource Definition De-facto Standard", version 1.3; CNI
// specification 1.1.0, "Network configuration format"; multus-cni 4.3.0, docs/how-to-use.md.
//
// # Example
//
//	requests, gaps := attachment.Requests(pod.Annotations[cncfv1.NetworksAnnotation], pod.Namespace)
//	definition, gaps := attachment.Define(nad.Namespace, nad.Name, nad.Spec.Config)
//	fmt.Println(definition.Segment()) // ens192, VLAN 100
package attachment
