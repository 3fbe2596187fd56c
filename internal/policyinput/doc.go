// Package policyinput is what policies read of the cluster: the identities that selectors choose from, the named ports of
// workloads, the settings of enforcement, and what stands behind the groups, services and nodes that rules name.
//
// # The world it models
//
// A rule refers to an object; tables know which peers or prefixes that is now:
//
//	CIDRGroups                  prefixes, by the name or the labels of their group
//	Services with a selector    the pods that it selects, in the service's namespace, on whatever port
//	Services without            the addresses in their EndpointSlices
//	Nodes                       other nodes by their labels, if setting enable-node-selector-labels allows it
//	AllNodes                    nodes by their labels, this one too, whatever the settings
//	default/kubernetes          the addresses that serve the API: entity kube-apiserver
//
// # Invariants
//
//   - What a reference names and what is not there stands for nothing; that is no error here (see table Findings).
//   - Ready or not makes no difference: policy is about what identity a pod has.
//   - Whatever Resolve reads for a reference, one of the functions Is… recognises: who keeps results knows when they are old.
//
// # Example
//
//	rule:    egress[0]: toCIDRSet: [{cidrGroupRef: partners}]      group partners: 192.0.2.0/24
//	becomes  egress[0]: a block within 192.0.2.0/24, whose name still is "group partners"
package policyinput
