package workload

import (
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

const seeStatus = "see that the agent reaches the API server: weft status"

// Needs of an attachment: the policy set of the identity that its pod's labels have.
func Needs(t *table.Tables) ([]state.Input, func(state.Reader, table.Attachment) []table.Need) {
	ofPod := func(r state.Reader, pod state.Key) (keys []state.Key) {
		for a := range t.Attachments.By(r, table.ByPod, pod) {
			keys = append(keys, t.Attachments.Key(a))
		}
		return keys
	}
	inputs := append(machine.Inputs(t, ofPod),
		state.On(t.Workloads, func(_ state.Reader, w table.Workload) []state.Key { return []state.Key{t.Workloads.Key(w)} }),
		state.On(t.Pods, func(r state.Reader, p table.Pod) []state.Key { return ofPod(r, t.Pods.Key(p)) }))
	return inputs, func(r state.Reader, a table.Attachment) []table.Need {
		w, _ := t.Workloads.One(r, t.Attachments.Key(a))
		n := table.Need{What: "policy", Table: t.PolicySets.Name(), Key: w.Set}
		if a.Pod == "" {
			return []table.Need{n}
		}
		pod := a.Namespace + "/" + a.Pod
		p, known := t.Pods.One(r, table.ObjectKey(a.Namespace, a.Pod))
		guest, _ := machine.Of(r, p)
		switch {
		case !known && w.Identity == 0: // one that was there keeps its identity
			n.Lacks = "pod " + pod + " has not come from the API server yet"
			n.Advice = seeStatus + "; a pod that was deleted meanwhile never comes"
		case guest.Lacks != "" && w.Identity == 0:
			n.Lacks = guest.Lacks + ", which says whose pod " + pod + " is, has not come from the API server yet"
			n.Advice = "see that the agent may list and watch virtualmachines and virtualmachineinstances of kubevirt.io: kubectl auth can-i"
		case w.Labels.Len() == 0:
			n.Lacks, n.Advice = "the labels of pod "+pod+" or of its namespace are not known yet", seeStatus
		case w.Identity == 0:
			n.Lacks = "no identity for labels " + w.Labels.String() + " yet"
			n.Advice = "the agent makes a CiliumIdentity for them: see its log, and that it may create ciliumidentities.cilium.io"
		}
		return []table.Need{n}
	}
}
