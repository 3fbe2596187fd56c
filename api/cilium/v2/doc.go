// Package v2 holds the Kubernetes objects of API version cilium.io/v2 as Go types.
//
// The world modelled: what users write (network policies, address pools,
// bandwidth policies) and what the nodes tell each other (endpoints,
// identities, node records). The JSON names are an interface that existing
// YAML, dashboards and clients rely on, so they never change; the Go names are
// ours. The types carry data only. What a policy means is decided by
// internal/policy, after internal/source/kube has translated it.
//
// Invariants:
//
//   - Empty, nil and absent differ. "ingress: []", "ingress: [{}]" and no
//     ingress key are three statements. Slices for which that matters have the
//     tag omitzero: nil is absent, a non-nil empty slice is "[]", and both
//     survive decode and encode.
//   - The types accept the superset of all field versions. A field that is not
//     enforced is still decoded, so that the policy can fail closed and name
//     the field; were it missing here, the API server would drop it in silence.
//   - An object that passes the generated schema decodes without error: one
//     bad object must never stop the watch of all the others.
//
// Example:
//
//	var cnp v2.CiliumNetworkPolicy
//	err := yaml.UnmarshalStrict(text, &cnp)
//	for i, rule := range cnp.Rules() {
//		isolated := rule.Ingress != nil // "[]" counts only beside another section
//		…
//	}
//
// The deep copies and the CRDs in deploy/chart/crds are generated from here by
// "go generate ./api".
//
// +kubebuilder:object:generate=true
// +groupName=cilium.io
package v2
