// Package language is what the languages of policy share: how an object is read into a row with rules of internal/policy,
// and what is said of it on the way.
//
// # The world it models
//
// Four languages that look alike and are not, each in a package of its own:
//
//	cilium      CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy
//	kubernetes  NetworkPolicy
//	tiered      ClusterNetworkPolicy
//	multi       MultiNetworkPolicy
//
// In the first two, an object selects pods and lists their peers, and what it lists in one direction closes that direction
// for all others. But `- {}` allows no peer in the first and every peer in the second; a peer without a namespace is in the
// policy's own namespace in CiliumNetworkPolicy and NetworkPolicy, in any in CiliumClusterwideNetworkPolicy. The third
// closes nothing: its rules accept, deny or pass. The fourth is the second, said of NICs beside the first. Annotation policy-for narrows an
// object of any of them to networks.
//
// # Invariants
//
//   - An object is rejected whole (Valid false) for an error anywhere in it, with a problem for each.
//   - What is well formed but not enforced yet fails closed, with a problem that names the field: an element that allows
//     allows nothing, and still isolates; an element that denies ignores the restriction, and so denies more.
//   - Rules of an object do not depend on any other object, nor on the configuration.
//   - No object makes a language panic (FuzzCilium, FuzzKubernetes, FuzzTiered).
//
// # Example
//
//	r := language.New(language.KindKubernetes, &policy.ObjectMeta)
//	r.Reject("spec.policyTypes[0]", "%q is not one of Ingress, Egress", name)
//	row := r.Row() // not valid, with that problem and no rules
package language
