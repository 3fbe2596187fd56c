// Package kubernetes reads NetworkPolicy (networking.k8s.io/v1).
//
// # The world it models
//
// A policy isolates the pods that it selects in the directions that policyTypes names, and its elements say which peers
// remain. An element without peers is about every peer, one without ports about every port.
//
// # Invariants
//
//   - Those of package language. Elements of a direction that is not isolated are left out.
//
// # Example
//
//	spec:
//	  podSelector: {matchLabels: {app: db}}
//	  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
//
// in namespace shop isolates the pods with app=db in ingress, and allows pods of namespace shop with app=web.
package kubernetes
