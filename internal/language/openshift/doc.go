// Package openshift reads the further networks that the configuration of an OpenShift cluster names, object cluster of kind Network
// (operator.openshift.io/v1), and says which NetworkAttachmentDefinitions they stand for.
//
// # The world it models
//
// OpenShift's Cluster Network Operator makes a definition of each element of spec.additionalNetworks. One of type Raw has its CNI configuration
// as text; SimpleMacvlan has fields of which one is composed, as that operator does:
//
//	{name: plant, type: Raw, rawCNIConfig: '{"type": "bridge", …}'}                ->  default/plant  {"type": "bridge", …}
//	{name: yard, type: SimpleMacvlan, simpleMacvlanConfig: {master: ens1}}        ->  default/yard   {"type": "macvlan", "master": "ens1", …}
//
// # Invariants
//
//   - What is wrong with one network keeps no other away.
//   - The same object has the same definitions, to the letter.
//
// # Example
//
//	networks, err := openshift.Networks(object)
//	for _, n := range networks {
//		fmt.Println(n.Namespace, n.Name, n.Config, n.Gaps)
//	}
package openshift
