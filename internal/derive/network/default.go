package network

import (
	"fmt"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/network"
)

// standIn says which definition a pod asks for in place of the cluster's network, and what keeps its first NIC from being made by that: lacks
// is empty if nothing does, definition if it asks for none.
func (d deriver) standIn(r state.Reader, pod table.Pod, first string) (definition, lacks, advice string, missing bool) {
	if pod.Default == "" || pod.HostNetwork {
		return "", "", "", false
	}
	q, gaps := attachment.Default(pod.Default)
	if len(gaps) > 0 {
		return "", complaint(cncfv1.DefaultNetworkAnnotation, gaps), "correct the annotation, or take it away for the cluster's network", false
	}
	definition = q.Namespace + "/" + q.Name
	row, ok := network.Definitions.One(r, table.ObjectKey(q.Namespace, q.Name))
	if !ok {
		lacks, advice = attachment.Missing(r, q, d.t.Config(r).Networks.Isolation)
		return definition, lacks, advice, true
	}
	read, gaps := attachment.Define(row.Namespace, row.Name, textOf(r, row))
	if len(gaps) == 0 {
		gaps = read.StandsIn(q, first)
	}
	if len(gaps) > 0 {
		return definition, gap.Text(gaps), fmt.Sprintf("take the annotation away and ask for it in %s, with default-route where it is to lead out", cncfv1.NetworksAnnotation), false
	}
	return definition, "", "", false
}
