package network

import "weftnet.io/weftnet/internal/table"

// Labels by which a pod says what it is one of: the StatefulSet controller's and KubeVirt's.
const (
	ofStatefulSet = "statefulset.kubernetes.io/pod-name"
	ofMachine     = "vm.kubevirt.io/name"
	launcher      = "kubevirt.io" // with the value virt-launcher
)

// ownerOf is the one that a pod's addresses belong to, where it outlives the pod. It is one of the pod's namespace, so a label that is not true
// gives a pod what is its neighbours' there, and nothing else.
func ownerOf(p table.Pod) string {
	if name := p.Labels[ofMachine]; name != "" && p.Labels[launcher] == "virt-launcher" {
		return "vm/" + name
	}
	if name := p.Labels[ofStatefulSet]; name == p.Name {
		return "pod/" + name
	}
	return ""
}
