package machine

import (
	"strings"

	"weftnet.io/weftnet/internal/identity"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// Launcher begins the names of the pods that machines run in: virt-launcher-NAME-x7k2p.
const Launcher = "virt-launcher-"

// In is the name of the machine in a pod with this identity, of whichever node; local is the pod if it is of this node. Empty: there is none.
func In(local table.Pod, pod string, labels identity.Labels) string {
	if name := Name(local); name != "" {
		return name
	}
	if name := local.Labels[identity.LabelVMName]; name != "" {
		return name
	}
	name, launched := strings.CutPrefix(pod, Launcher)
	end := strings.LastIndexByte(name, '-')
	if kind, _ := labels.Value("k8s:kubevirt.io"); kind != "virt-launcher" || !launched || end <= 0 {
		return ""
	}
	return name[:end]
}

// Title is how people name what is in a pod: namespace/name of its machine, else of the pod.
func Title(t *table.Tables, r state.Reader, namespace, pod string, labels identity.Labels) string {
	local, _ := t.Pods.One(r, table.ObjectKey(namespace, pod))
	if name := In(local, pod, labels); name != "" {
		return namespace + "/" + name
	}
	return namespace + "/" + pod
}

// Running are the names of the pods, of all nodes, in which a machine runs: two while it moves.
func Running(t *table.Tables, r state.Reader, namespace, name string) (pods []string) {
	for _, key := range Pods(t, r, namespace, name) {
		if p, _ := t.Pods.One(r, key); !p.Finished {
			pods = append(pods, p.Name)
		}
	}
	for e := range t.Endpoints.Prefix(r, state.Join(namespace)) {
		i, _ := t.Identities.One(r, state.Join(uint32(e.Identity)))
		if In(table.Pod{}, e.Name, i.Labels) == name {
			pods = append(pods, e.Name)
		}
	}
	return pods
}
