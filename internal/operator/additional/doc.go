// Package additional makes NetworkAttachmentDefinitions of the additionalNetworks of an OpenShift cluster's configuration, where OpenShift's
// own operator, which does that, does not run.
//
// # The world it models
//
//	Network cluster (operator.openshift.io/v1)      NetworkAttachmentDefinition
//	spec.additionalNetworks[0] plant           ->   default/plant, owned by that Network, labelled as ours
//	an element that changes                    ->   the definition changes
//	an element that goes, or the Network       ->   the definition goes
//	a definition of a person's with that name       is left alone, and an event at the Network says so
//
// # Invariants
//
//   - Only what the Network owns is written, and only what was made here is deleted: OpenShift's operator gives it other definitions, too.
//   - An element that makes no sense takes nothing away that an earlier text of it has made.
//   - While OpenShift's operator is installed nothing is written.
//
// # Example
//
//	err := additional.Add(manager, log) // once the API server serves both kinds
package additional
