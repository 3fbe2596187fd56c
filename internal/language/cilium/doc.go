// Package cilium reads CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy.
//
// # The world it models
//
// An element of ingress or egress has members that choose peers, and ports. An absent list, an empty one and one with an
// empty element mean three things:
//
//	fromEndpoints absent        any peer (if there are ports), none (if there are none)
//	fromEndpoints: []           none
//	fromEndpoints: [{}]         every pod of the policy's namespace; clusterwide: every pod
//
// # Invariants
//
//   - Those of package language. What is rejected has Cilium's own words for it where it has a check.
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
package cilium
