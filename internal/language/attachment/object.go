package attachment

import (
	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/network"
)

// Named is a row of the table of NetworkAttachmentDefinitions, which is Table.
type Named = network.Definition

// Table has the definitions of the cluster.
var Table = network.Definitions

// Row reads a NetworkAttachmentDefinition into its row.
func Row(o *cncfv1.NetworkAttachmentDefinition) (Named, bool) {
	return Named{
		Namespace: o.Namespace, Name: o.Name, Config: o.Spec.Config,
		Resource: o.Annotations[cncfv1.ResourceNameAnnotation], Wire: o.Annotations[cncfv1.WireAnnotation],
	}, true
}

// Gaps says what keeps pods from being attached by a NetworkAttachmentDefinition.
func Gaps(o *cncfv1.NetworkAttachmentDefinition) []gap.Gap {
	d, gaps := Define(o.Namespace, o.Name, o.Spec.Config)
	if len(gaps) == 0 {
		gaps = d.Unfit()
	}
	for i := range gaps {
		gaps[i].Field = "spec.config" + colon(gaps[i].Field)
	}
	return gaps
}

func colon(field string) string {
	if field == "" {
		return ""
	}
	return ": " + field
}
