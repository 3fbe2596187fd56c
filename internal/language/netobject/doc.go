// Package netobject reads the objects of the API that networks are made of, and the annotations of pods about them: NetworkAttachmentDefinition, OverlayNetwork,
// PodInterface, CiliumPodIPPool. It is what the registry of kinds knows of networks; what a definition's configuration says is package attachment's.
//
// Invariants: reading never fails. What makes no sense is left out of the row, and named by Gaps and its kin.
//
//	row, ok := netobject.Row(definition)
//	gaps := netobject.OverlayGaps(network, world)
package netobject
