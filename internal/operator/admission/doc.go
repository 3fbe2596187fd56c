// Package admission tells people of their policies and further networks while they apply them: a validating webhook that the API server asks
// about every policy object and every NetworkAttachmentDefinition.
//
// # The world it models
//
//	kubectl apply ──> API server ──HTTPS──> webhook: packages lint and lint/network say what is wrong
//	                       ^                      |
//	                       └── refused: errors    |  admitted, with warnings that kubectl prints
//	                                              |
//	   ValidatingWebhookConfiguration weft-policies holds which authority to trust (caBundle)
//	   Secret weft-webhook            holds the authority and the certificate of the webhook
//
// Every replica of the operator answers; the one that holds the Lease makes the certificate, renews it, and writes it where
// the API server looks which to trust. The others read the Secret.
//
// # Invariants
//
//   - What is refused is what the agents would not enforce at all, and a definition by which no plugin of any kind could make a NIC; whatever is
//     enforced in part, or works elsewhere, is admitted with a warning.
//   - An object that was there before with the same error may be changed (its labels, its finalizers) and deleted.
//   - A new authority is trusted before the first certificate of it is used, and the old one for as long as it lives.
//   - Nothing here is needed for packets: without the webhook, status, `weft policy check` and `weft net check` say the same.
//
// # Example
//
//	keeper := &admission.Keeper{Client: c, Namespace: "kube-system", Leads: elected, Log: log}
//	server := &admission.Server{Address: ":9444", Keeper: keeper, Review: &admission.Reviewer{Log: log}}
package admission
