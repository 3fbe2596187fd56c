// Package language reads policy objects: CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, Kubernetes NetworkPolicy and
// ClusterNetworkPolicy (package tiered) become rows with the rules of internal/policy.
//
// # The world it models
//
// Two languages that look alike and are not. In both, an object selects pods and lists whom they may talk to, and what
// it lists in one direction closes that direction for everybody else. But `- {}` allows nobody in the first language and
// everybody in the second; a peer without a namespace is in the policy's own namespace in CiliumNetworkPolicy and
// NetworkPolicy, in any in CiliumClusterwideNetworkPolicy; an absent list, an empty one and one with an empty element
// mean three things:
//
//	fromEndpoints absent        anybody (if there are ports), nobody (if there are none)
//	fromEndpoints: []           nobody
//	fromEndpoints: [{}]         every pod of the policy's namespace; clusterwide: every pod
//
// # Invariants
//
//   - An object is rejected whole (Valid false) for an error anywhere in it, with a problem for each.
//   - What is well formed but not enforced yet fails closed, with a problem that names the field: an entry that allows
//     allows nothing, and still isolates; an entry that denies ignores the restriction, and so denies more.
//   - Rules of an object do not depend on any other object, nor on the configuration.
//   - No object makes a function here panic (FuzzCilium, FuzzKubernetes, FuzzClusterNetwork).
//
// # Example
//
//	spec:
//	  endpointSelector: {matchLabels: {app: db}}
//	  ingress:
//	  - fromEndpoints: [{matchLabels: {app: web}}]
//	    toPorts: [{ports: [{port: "5432", protocol: TCP}]}]
//
// in namespace shop is the rule
//
//	for {k8s:io.kubernetes.pod.namespace in ["shop"], any:app in ["db"]}, isolated in ingress
//	ingress[0].toPorts[0]: tcp/5432 of {k8s:io.kubernetes.pod.namespace in ["shop"], k8s:io.cilium.k8s.policy.cluster same, any:app in ["web"]}
package language
