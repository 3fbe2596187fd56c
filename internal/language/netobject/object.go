package netobject

import (
	"cmp"
	"fmt"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/api/weftnet/v1alpha1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
	settings "weftnet.io/weftnet/internal/settings/network"
	"weftnet.io/weftnet/internal/table/network"
	"weftnet.io/weftnet/internal/table/station"
)

// What the registry of kinds asks of the objects that this package reads.
type (
	// NetworkAttachmentDefinition is a network.
	NetworkAttachmentDefinition = cncfv1.NetworkAttachmentDefinition
	// PodInterface is a NIC in one, as the node of its pod has told the others.
	PodInterface = v1alpha1.PodInterface
)

// Resources of these, their versions, and what teaches a scheme each.
const (
	DefinitionResource = cncfv1.NetworkAttachmentDefinitionResource
	InterfaceResource  = v1alpha1.PodInterfaceResource
)

var (
	DefinitionVersion, InstallDefinition = cncfv1.SchemeGroupVersion, cncfv1.AddToScheme
	InterfaceVersion, InstallInterface   = v1alpha1.SchemeGroupVersion, v1alpha1.AddToScheme
)

// Named is a row of the table of NetworkAttachmentDefinitions, which is Table.
type Named = network.Definition

// Table has the definitions of the cluster.
var Table = network.Definitions

// Row reads a NetworkAttachmentDefinition into its row.
func Row(o *cncfv1.NetworkAttachmentDefinition) (Named, bool) {
	row := Named{
		Namespace: o.Namespace, Name: o.Name, UID: string(o.UID), Config: o.Spec.Config, Policy: o.Annotations[settings.PolicyAnnotation],
		Resource: o.Annotations[cncfv1.ResourceNameAnnotation], Wire: o.Annotations[cncfv1.WireAnnotation],
	}
	d, _ := attachment.Define(o.Namespace, o.Name, o.Spec.Config)
	if row.Overlay = d.Overlay(); row.Overlay != "" { // it has a name already
		row.Wire = ""
		return row, true
	}
	if segment := d.Segment(); (segment != attachment.Segment{Net: attachment.PodNetwork}) {
		row.Plain = station.NetworkOf(segment.String())
	}
	if row.Number = row.Plain; row.Wire != "" {
		row.Number = station.NetworkOf(row.Wire)
	}
	return row, true
}

// Asked is the annotation by which a pod asks for networks.
func Asked(annotations map[string]string) string { return annotations[cncfv1.NetworksAnnotation] }

// Gaps says what keeps pods from being attached by a NetworkAttachmentDefinition, and what of it counts for nothing.
func Gaps(o *cncfv1.NetworkAttachmentDefinition, w gap.World) []gap.Gap {
	d, gaps := attachment.Define(o.Namespace, o.Name, o.Spec.Config)
	if len(gaps) == 0 {
		gaps = d.Unfit()
	}
	for i := range gaps {
		gaps[i].Field = "spec.config" + colon(gaps[i].Field)
	}
	if wire := o.Annotations[cncfv1.WireAnnotation]; wire != "" && !w.Config.Networks.Names(o.Namespace) {
		gaps = append(gaps, gap.Gap{
			Reason: gap.NotEnabled, Field: "metadata.annotations[" + cncfv1.WireAnnotation + "]",
			Message: fmt.Sprintf("%q does not count: with network-namespace-isolation only definitions of the namespaces in network-global-namespaces name a wire; add %s to these, or remove the annotation", wire, o.Namespace),
		})
	}
	if said := o.Annotations[settings.PolicyAnnotation]; said != "" && !w.Config.Networks.Counts(o.Namespace, said, "") {
		gaps = append(gaps, gap.Gap{
			Reason: gap.NotEnabled, Field: "metadata.annotations[" + settings.PolicyAnnotation + "]",
			Message: fmt.Sprintf("%q does not count where the pods' namespace says nothing: it closes less than key policy-networks (%s), and only definitions of kube-system and of the namespaces in network-global-namespaces may open what that closes", said, w.Config.Networks.Policy),
		})
	}
	return gaps
}

func colon(field string) string {
	if field == "" {
		return ""
	}
	return ": " + field
}

// AskedFirst is the network that a pod asks for in place of the cluster's, by these annotations.
func AskedFirst(annotations map[string]string) string {
	return annotations[cncfv1.DefaultNetworkAnnotation]
}

// Joined is the annotation by which a pod is told which networks it is in, by Multus or by an agent.
func Joined(annotations map[string]string) string {
	return cmp.Or(annotations[cncfv1.NetworkStatusAnnotation], annotations[cncfv1.OldNetworkStatusAnnotation])
}

// Owner is attachment.Owner.
var Owner = attachment.Owner
